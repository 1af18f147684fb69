//go:build linux && cgo

package nsgate_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	nsgate "github.com/nsgate/nsgate/go"
)

// onEachThread calls f wherever the library calls the host's code on a thread of its own that may block.
func onEachThread(t *testing.T, f func(t *testing.T)) {
	gate := openGate(t, nsgate.WithNamespaceThreads(1, time.Minute))
	t.Run("Do", func(t *testing.T) {
		namespace := get[*nsgate.MountNamespace](t)(gate.CurrentNamespace())
		defer namespace.Close()
		for range 2 { // the second time on a thread that was cleaned
			must(t, namespace.Do(limited(t), func() error { f(t); return nil }))
		}
	})
	t.Run("Reserve", func(t *testing.T) {
		for range 2 {
			job := get[*nsgate.Job](t)(gate.Reserve("signals", func(context.Context) error { f(t); return nil }))
			ticket := get[nsgate.Ticket](t)(job.Submit())
			equal(t, get[nsgate.Event](t)(ticket.Wait(limited(t))).Outcome, nsgate.OutcomeReleased)
			job.Free()
		}
	})
	t.Run("BeforeRelease", func(t *testing.T) {
		chroot, _ := openChroot(t, gate, nil)
		must(t, chroot.BeforeRelease(func(context.Context) error { f(t); return nil }))
		ticket := get[nsgate.Ticket](t)(chroot.Release())
		equal(t, get[nsgate.Event](t)(ticket.Wait(limited(t))).Outcome, nsgate.OutcomeReleased)
	})
}

// A collection waits for every goroutine, and all others for the collection.
func TestALoopOnALibraryThreadHoldsUpNoCollection(t *testing.T) {
	onEachThread(t, func(t *testing.T) {
		var collected atomic.Bool
		looping := make(chan struct{})
		go func() {
			<-looping
			runtime.GC()
			collected.Store(true)
		}()
		close(looping)
		// Neither a call nor a clock, which would let the collection in: it gives up by count.
		rounds := 0
		for rounds < 1<<34 && !collected.Load() {
			rounds++
		}
		if !collected.Load() {
			t.Errorf("no collection ended during %d rounds", rounds)
		}
	})
}

// signalMask returns the signals that the calling thread blocks.
func signalMask(t *testing.T) (blocked uint64) {
	const getMask, setSize = 0, 8
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, getMask, 0, uintptr(unsafe.Pointer(&blocked)), setSize, 0, 0)
	if errno != 0 {
		t.Error(errno)
	}
	return blocked
}

func TestGoCodeOnALibraryThreadTakesTheSignalsThatGoTakes(t *testing.T) {
	outside := signalMask(t)
	onEachThread(t, func(t *testing.T) { equal(t, signalMask(t), outside) })
}

// A child inherits the signals that its creator blocks.
func TestAProcessThatIsStartedOnALibraryThreadCanBeSignalled(t *testing.T) {
	blocked := func() string {
		return string(get[[]byte](t)(exec.Command("grep", "SigBlk", "/proc/self/status").Output()))
	}
	outside := blocked()
	onEachThread(t, func(t *testing.T) {
		equal(t, blocked(), outside)
		child := exec.Command("sleep", "5")
		must(t, child.Start())
		must(t, child.Process.Signal(os.Interrupt))
		var ended *exec.ExitError
		if err := child.Wait(); !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
			t.Errorf("ended by %v", err)
		}
	})
}
