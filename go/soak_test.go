//go:build linux && cgo

package nsgate_test

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// level is what must not grow.
type level struct {
	Descriptors, Threads int
	Heap, Resident       uint64 // bytes
}

func levelNow(t *testing.T) level {
	t.Helper()
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	pages := strings.Fields(string(get[[]byte](t)(os.ReadFile("/proc/self/statm"))))[1]
	return level{
		Descriptors: countDescriptors(t),
		Threads:     len(get[[]os.DirEntry](t)(os.ReadDir("/proc/self/task"))),
		Heap:        memory.HeapAlloc,
		Resident:    get[uint64](t)(strconv.ParseUint(pages, 10, 64)) * uint64(os.Getpagesize()),
	}
}

// TestRandomWorkAddsUpAndNothingGrows does everything at random from eight goroutines for a while. Then
// every count adds up exactly, and memory, descriptors and threads are what they were after the first part
// of it.
func TestRandomWorkAddsUpAndNothingGrows(t *testing.T) {
	lasts := 10 * time.Second
	switch {
	case testing.Short():
		lasts = 2 * time.Second
	case long && !raceDetector:
		lasts = 10 * time.Minute
	}
	gate := openGate(t,
		nsgate.WithCapacity(256), // small enough to be full at times
		nsgate.WithNamespaceThreads(4, time.Hour),
		nsgate.WithRetry(100*time.Microsecond, 500*time.Microsecond, 3, 0))
	counts, stop := newTally(gate)
	defer stop()
	random := newRandom(t)
	begin := time.Now()
	first := soak(t, gate, counts, random, begin.Add(lasts/4))
	last := soak(t, gate, counts, random, begin.Add(lasts))
	t.Logf("%+v, then %+v\n%s", first, last, counts)
	// Go starts a thread when it thinks it needs one, and ends none.
	const mebibyte = 1 << 20
	if last.Descriptors > first.Descriptors+8 || last.Threads > first.Threads+64 || last.Heap > first.Heap+4*mebibyte {
		t.Errorf("first %+v, then %+v", first, last)
	}
	// The race detector has some memory for each it has seen.
	if !raceDetector && last.Resident > first.Resident+64*mebibyte {
		t.Errorf("first %+v, then %+v", first, last)
	}
}

// soak lets eight goroutines act until end, then takes everything down and looks at what is left.
func soak(t *testing.T, gate *nsgate.Gate, counts *tally, random *rand.Rand, end time.Time) level {
	t.Helper()
	w := newWorld(t, gate, counts)
	var all group
	for range 8 {
		own := rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))
		all.Go(func() {
			for time.Now().Before(end) {
				w.act(own)
			}
		})
	}
	all.Wait()
	w.takeDown()
	counts.check(t, gate)
	return levelNow(t)
}
