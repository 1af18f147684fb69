//go:build linux && cgo

package nsgate_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/internal/capi"
)

func TestDoRunsWithTheChrootAsItsRoot(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	must(t, chroot.WriteFile("inside", []byte("yes"), 0o600))
	failed := errors.New("as asked")
	err := chroot.Do(limited(t), func() error {
		if data, err := os.ReadFile("/inside"); err != nil || string(data) != "yes" {
			t.Errorf("%q, %v", data, err)
		}
		if _, err := os.Stat("/proc"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the host is seen: %v", err)
		}
		if err := os.WriteFile("relative", nil, 0o600); err != nil {
			t.Error(err)
		}
		return failed
	})
	equal(t, err, failed)
	get[fs.FileInfo](t)(chroot.Stat("/relative"))
}

// The moment in which the runtime may start threads from one that is new to it is over before it is inside.
func TestGoKnowsAThreadBeforeItGoesInside(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	must(t, chroot.Do(limited(t), func() error {
		if capi.WhereAmI(0)&capi.Known == 0 {
			t.Error("Go sees the thread for the first time when it is inside")
		}
		return nil
	}))
}

func TestSeveralRunInsideAtOnce(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	const n = 5
	var here group
	var inside atomic.Int32
	all := make(chan struct{})
	for range n {
		here.Go(func() {
			err := chroot.Do(limited(t), func() error {
				if inside.Add(1) == n {
					close(all)
				}
				<-all
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	here.Wait()
}

func TestAPanicInsideIsReturned(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	err := chroot.Do(limited(t), func() error { panic(fs.ErrPermission) })
	var panicErr *nsgate.PanicError
	if !errors.As(err, &panicErr) || panicErr.Value != fs.ErrPermission {
		t.Fatalf("got %v", err)
	}
	failsWith(t, err, fs.ErrPermission)
	if !strings.Contains(string(panicErr.Stack), "TestAPanicInsideIsReturned") {
		t.Errorf("the stack doesn't show where:\n%s", panicErr.Stack)
	}
	var none []int
	err = chroot.Do(limited(t), func() error { none[len(none)]++; return nil })
	if !errors.As(err, &panicErr) {
		t.Errorf("got %v", err)
	}
	must(t, chroot.Do(limited(t), func() error { return nil }))
}

func TestAGoexitInsideIsReturned(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	deferred := false
	err := chroot.Do(limited(t), func() error {
		defer func() { deferred = true }()
		runtime.Goexit()
		return nil
	})
	failsWith(t, err, nsgate.ErrGoexit)
	equal(t, deferred, true)
	fake := new(testing.T)
	err = chroot.Do(limited(t), func() error { fake.FailNow(); return nil })
	failsWith(t, err, nsgate.ErrGoexit)
	equal(t, fake.Failed(), true)
	// Deferred functions may panic on the way.
	err = chroot.Do(limited(t), func() error { defer panic("late"); runtime.Goexit(); return nil })
	var panicErr *nsgate.PanicError
	if !errors.As(err, &panicErr) || panicErr.Value != "late" {
		t.Errorf("got %v", err)
	}
}

func TestADoThatIsCancelledInTheQueueNeverRuns(t *testing.T) {
	gate := openGate(t, nsgate.WithNamespaceThreads(1, 50*time.Millisecond))
	chroot, _ := openChroot(t, gate, nil)
	started, hold := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		first <- chroot.Do(limited(t), func() error { close(started); <-hold; return nil })
	}()
	<-started
	ctx, cancel := context.WithCancel(context.Background())
	second := make(chan error)
	ran := false
	go func() { second <- chroot.Do(ctx, func() error { ran = true; return nil }) }()
	time.Sleep(10 * time.Millisecond)
	cancel()
	failsWith(t, <-second, context.Canceled)
	close(hold)
	must(t, <-first)
	must(t, chroot.Do(limited(t), func() error { return nil })) // after the cancelled one
	equal(t, ran, false)
	failsWith(t, chroot.Do(ctx, func() error { ran = true; return nil }), context.Canceled)
	equal(t, ran, false)
}

// Who gave up waiting behind another's hang can release what he has.
func TestADoThatIsCancelledInTheQueueHoldsNoReleaseUp(t *testing.T) {
	gate := openGate(t, nsgate.WithNamespaceThreads(1, 50*time.Millisecond))
	hanging, _ := openChroot(t, gate, nil)
	chroot, _ := openChroot(t, gate, nil)
	namespace := get[*nsgate.MountNamespace](t)(gate.CreateNamespace())
	started, hold := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(hold) })
	defer letGo()
	ended := make(chan error, 1)
	go func() {
		ended <- hanging.Do(limited(t), func() error { close(started); <-hold; return nil })
	}()
	<-started
	running, _, _, _, _ := capi.Live()
	for range 3 {
		for _, do := range []func(context.Context, func() error) error{chroot.Do, namespace.Do} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			failsWith(t, do(ctx, func() error { t.Error("ran"); return nil }), context.DeadlineExceeded)
			cancel()
		}
	}
	left, _, _, _, _ := capi.Live()
	equal(t, left, running)
	for _, release := range []func() (nsgate.Ticket, error){chroot.Release, namespace.Release} {
		ticket := get[nsgate.Ticket](t)(release())
		equal(t, get[nsgate.Event](t)(ticket.Wait(limited(t))).Outcome, nsgate.OutcomeReleased)
	}
	letGo()
	must(t, <-ended)
}

func TestADoThatRunsIsWaitedForWhateverItsContextSays(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	ctx, cancel := context.WithCancel(context.Background())
	err := chroot.Do(ctx, func() error {
		cancel()
		time.Sleep(10 * time.Millisecond)
		return ctx.Err()
	})
	equal(t, err, context.Canceled)
}

func TestDoInsideDo(t *testing.T) {
	gate := openGate(t, nsgate.WithNamespaceThreads(1, 50*time.Millisecond))
	outer, _ := openChroot(t, gate, nil)
	inner, _ := openChroot(t, gate, nil)
	must(t, outer.Mkdir("outer", 0o755))
	must(t, inner.Mkdir("inner", 0o755))
	err := outer.Do(limited(t), func() error {
		runtime.LockOSThread()
		nested := inner.Do(limited(t), func() error {
			_, err := os.Stat("/inner")
			return err
		})
		if nested != nil && !errors.Is(nested, nsgate.ErrWouldDeadlock) {
			t.Error(nested)
		}
		_, err := os.Stat("/outer") // back again
		return err
	})
	must(t, err)
}

func TestAChrootCanBeClosedFromInside(t *testing.T) {
	gate := openGate(t)
	chroot, _ := openChroot(t, gate, nil)
	var ticket nsgate.Ticket
	must(t, chroot.Do(limited(t), func() (err error) { ticket, err = chroot.Release(); return err }))
	event := get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, event.Outcome, nsgate.OutcomeReleased)
}

func TestGoroutinesStartedInsideRunOutside(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	home := get[string](t)(os.Readlink("/proc/thread-self/ns/mnt"))
	must(t, chroot.Do(limited(t), func() error {
		seen := make(chan string)
		for range 10 {
			go func() {
				link, err := os.Readlink("/proc/thread-self/ns/mnt")
				if err != nil {
					link = err.Error()
				}
				seen <- link
			}()
		}
		for range 10 {
			equal(t, <-seen, home)
		}
		return nil
	}))
}

func TestAMountNamespace(t *testing.T) {
	gate := openGate(t)
	created := get[*nsgate.MountNamespace](t)(gate.CreateNamespace())
	defer created.Close()
	current := get[*nsgate.MountNamespace](t)(gate.CurrentNamespace())
	defer current.Close()
	byPath := get[*nsgate.MountNamespace](t)(gate.OpenNamespace("/proc/self/ns/mnt"))
	defer byPath.Close()
	byPid := get[*nsgate.MountNamespace](t)(gate.OpenProcessNamespace(os.Getpid()))
	defer byPid.Close()
	file := get[*os.File](t)(os.Open("/proc/self/ns/mnt"))
	defer file.Close()
	byFile := get[*nsgate.MountNamespace](t)(gate.OpenNamespaceFile(file))
	defer byFile.Close()

	home := get[nsgate.NamespaceID](t)(current.ID())
	for _, same := range []*nsgate.MountNamespace{byPath, byPid, byFile} {
		equal(t, get[nsgate.NamespaceID](t)(same.ID()), home)
	}
	abroad := get[nsgate.NamespaceID](t)(created.ID())
	if abroad == home {
		t.Error("a new namespace is the old one")
	}
	must(t, created.Do(limited(t), func() error {
		info, err := os.Stat("/proc/thread-self/ns/mnt")
		if err == nil {
			equal(t, info.Sys().(*syscall.Stat_t).Ino, abroad.Inode)
		}
		return err
	}))
	ticket := get[nsgate.Ticket](t)(created.Release())
	event := get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, event.Kind, nsgate.KindMountNamespace)
	failsWith(t, created.Close(), nsgate.ErrClosed)
	failsWith(t, created.Do(limited(t), func() error { return nil }), nsgate.ErrClosed)
	failsWith(t, second(gate.OpenNamespace("/proc/self/status")), syscall.EINVAL)
}
