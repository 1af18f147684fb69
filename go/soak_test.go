//go:build linux && cgo

package nsgate_test

import (
	"fmt"
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
	lasts := 20 * time.Second
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
	// What the garbage collector is told to clean up goes a moment later.
	eventually(t, "nothing has grown", func() string {
		if last = levelNow(t); last.over(first) {
			return fmt.Sprintf("first %+v, then %+v", first, last)
		}
		return ""
	})
	t.Logf("%+v, then %+v\n%s", first, last, counts)
}

func (l level) over(first level) bool {
	const mebibyte = 1 << 20
	return l.Descriptors > first.Descriptors+8 ||
		l.Threads > first.Threads+64 || // Go starts one when it thinks it needs one, and ends none
		l.Heap > first.Heap+4*mebibyte ||
		!raceDetector && l.Resident > first.Resident+64*mebibyte // it keeps some memory for all it has seen
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
