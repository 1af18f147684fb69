//go:build linux && cgo

package nsgate_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	nsgate "github.com/nsgate/nsgate/go"
)

// TestGoStartsNoThreadFromOneThatIsNewToIt has many threads of the library come to Go for the first time
// while the runtime takes the processor away from everybody, again and again, and has no spare thread to
// give it to: it makes one, from whatever thread it happens to be on.
func TestGoStartsNoThreadFromOneThatIsNewToIt(t *testing.T) {
	const jobs = 400
	gate := openGate(t, nsgate.WithNamespaceThreads(jobs, 0))
	chroot, _ := openChroot(t, gate, nil)
	known := sync.Map{}
	for _, thread := range abroad(t) {
		known.Store(thread, true)
	}

	var stop atomic.Bool
	var storm, all, arrived group
	for range 2 {
		storm.Go(func() {
			for stats := new(runtime.MemStats); !stop.Load(); {
				runtime.ReadMemStats(stats) // stops the world
			}
		})
	}
	reader, writer, err := os.Pipe()
	must(t, err)
	closed := make(chan struct{})
	arrived.Add(jobs)
	for i := range jobs {
		all.Go(func() {
			err := chroot.Do(context.Background(), func() error {
				known.Store(syscall.Gettid(), true)
				arrived.Done()
				<-closed
				return nil
			})
			if err != nil {
				t.Error(err)
				arrived.Done()
			}
		})
		if i%4 == 0 {
			// Keeps a thread of Go.
			all.Go(func() { _, _ = syscall.Read(int(reader.Fd()), make([]byte, 1)) })
		}
	}
	arrived.Wait()
	for _, thread := range abroad(t) {
		if _, ok := known.Load(thread); !ok {
			t.Errorf("thread %d is abroad, and no job runs there", thread)
		}
	}
	stop.Store(true)
	storm.Wait()
	close(closed)
	must(t, writer.Close())
	all.Wait()
	must(t, reader.Close())
}

// abroad returns the threads of the process that are in another mount namespace than its first one.
func abroad(t *testing.T) (threads []int) {
	t.Helper()
	home := get[string](t)(os.Readlink("/proc/self/ns/mnt"))
	for _, task := range get[[]string](t)(filepath.Glob("/proc/self/task/*")) {
		namespace, err := os.Readlink(filepath.Join(task, "ns/mnt"))
		if err == nil && namespace != home { // else it has just ended
			threads = append(threads, get[int](t)(strconv.Atoi(filepath.Base(task))))
		}
	}
	return threads
}
