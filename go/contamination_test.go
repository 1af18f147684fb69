//go:build linux && cgo

package nsgate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	nsgate "github.com/nsgate/nsgate/go"
)

// long tells whether the long versions of tests are asked for.
var long = os.Getenv("NSGATE_LONG") != ""

// games are what a job may do to the thread that it got, and to the locks between goroutines and threads.
var games = []func() error{
	func() error { panic("game") },
	func() error { runtime.Goexit(); return nil },
	func() error { new(testing.T).FailNow(); return nil },
	func() error { runtime.LockOSThread(); runtime.LockOSThread(); return nil },
	func() error { runtime.UnlockOSThread(); runtime.UnlockOSThread(); return nil },
	func() error { runtime.LockOSThread(); runtime.Goexit(); return nil },
	func() error { runtime.LockOSThread(); defer runtime.UnlockOSThread(); panic("game") },
	func() error { defer panic("late"); runtime.Goexit(); return nil },
	func() error { go runtime.Gosched(); runtime.Gosched(); return nil },
	func() error { time.Sleep(time.Microsecond); return nil },
	func() error { syscall.Syscall(syscall.SYS_NANOSLEEP, 0, 0, 0); return nil },
	func() error {
		var blocked group
		for range 4 {
			blocked.Go(func() { runtime.LockOSThread(); time.Sleep(time.Microsecond) })
		}
		blocked.Wait()
		return nil
	},
}

// TestNothingThatJobsDoContaminatesTheProcess is about threads that Go would start from inside, and about
// threads that can't be brought back.
func TestNothingThatJobsDoContaminatesTheProcess(t *testing.T) {
	gate := openGate(t)
	chroot, _ := openChroot(t, gate, nil)
	home := get[place](t)(here())
	rounds := 2_000
	switch {
	case testing.Short():
		rounds = 500
	case long:
		rounds = 10_000
	}
	const workers = 8
	var tainted atomic.Int64
	var all group
	for worker := range workers {
		all.Go(func() {
			for i := range rounds / workers {
				if i%50 == worker {
					err := chroot.Do(context.Background(), dropSysAdmin)
					failsWith(t, err, nsgate.ErrTainted)
					tainted.Add(1)
					continue
				}
				err := chroot.Do(context.Background(), games[(worker+i)%len(games)])
				var panicErr *nsgate.PanicError
				if err != nil && !errors.As(err, &panicErr) && !errors.Is(err, nsgate.ErrGoexit) {
					t.Error(err)
				}
				if i%100 == 0 {
					runtime.GC()
				}
			}
		})
	}
	all.Wait()
	if tainted.Load() == 0 {
		t.Error("no restore was made to fail")
	}
	checkHome(t, home)
	checkChdir(t)
	// The gate is unharmed, with new threads for those that were lost.
	must(t, chroot.Do(limited(t), func() error {
		if at, err := here(); err != nil || at == home {
			return fmt.Errorf("a job is at %+v, %v", at, err)
		}
		return nil
	}))
}

// dropSysAdmin takes from its thread what it needs to get home.
func dropSysAdmin() error { return dropCapabilities(1 << 21) }

// dropFileRights takes from its thread root's rights over files.
func dropFileRights() error { return dropCapabilities(0b1_1111) }

func dropCapabilities(which uint32) error {
	const version = 0x20080522
	header := struct {
		version uint32
		pid     int32
	}{version: version}
	var sets [2]struct{ effective, permitted, inheritable uint32 }
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)), 0); errno != 0 {
		return os.NewSyscallError("capget", errno)
	}
	sets[0].effective &^= which
	sets[0].permitted &^= which
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)), 0); errno != 0 {
		return os.NewSyscallError("capset", errno)
	}
	return nil
}

// place is where a thread is.
type place struct {
	namespace          string
	rootDevice, root   uint64
	workDevice, workIn uint64
}

// here is where the calling thread is.
func here() (at place, err error) {
	var root, work syscall.Stat_t
	if err = syscall.Stat("/", &root); err != nil {
		return at, err
	}
	if err = syscall.Stat(".", &work); err != nil {
		return at, err
	}
	// Inside a chroot there is no /proc, and this stays empty.
	at.namespace, err = os.Readlink("/proc/thread-self/ns/mnt")
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	at.rootDevice, at.root, at.workDevice, at.workIn = root.Dev, root.Ino, work.Dev, work.Ino
	return at, err
}

// checkHome checks that 10,000 goroutines, a hundred at a time on a thread each, see what the process saw.
func checkHome(t *testing.T, home place) {
	t.Helper()
	const batches, batch = 100, 100
	var abroad atomic.Int64
	for range batches {
		var arrived, all group
		arrived.Add(batch)
		for range batch {
			all.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				arrived.Done()
				arrived.Wait() // so that no two of them have the same thread
				if at, err := here(); err != nil || at != home {
					if abroad.Add(1) == 1 {
						t.Errorf("a goroutine is at %+v, %v; home is %+v", at, err, home)
					}
				}
			})
		}
		all.Wait()
	}
	if n := abroad.Load(); n != 0 {
		t.Errorf("%d goroutines are abroad", n)
	}
}

// checkChdir checks that os.Chdir still moves every thread of Go.
func checkChdir(t *testing.T) {
	t.Helper()
	old := get[string](t)(os.Getwd())
	there := t.TempDir()
	must(t, os.Chdir(there))
	checkHome(t, get[place](t)(here()))
	must(t, os.Chdir(old))
}
