//go:build linux && cgo

package nsgate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

func outcomeOf(t *testing.T, gate *nsgate.Gate, f func(context.Context) error) (nsgate.Event, error) {
	t.Helper()
	job := get[*nsgate.Job](t)(gate.Reserve("job", f))
	defer job.Free()
	ticket := get[nsgate.Ticket](t)(job.Submit())
	return get[nsgate.Event](t)(ticket.Wait(limited(t))), job.Err()
}

func TestAJobsErrorIsItsOutcome(t *testing.T) {
	gate := openGate(t)
	event, err := outcomeOf(t, gate, func(context.Context) error { return nil })
	must(t, err)
	equal(t, event.Outcome, nsgate.OutcomeReleased)
	equal(t, event.Kind, nsgate.KindJob)

	event, err = outcomeOf(t, gate, func(context.Context) error { return fmt.Errorf("wrapped: %w", syscall.EPERM) })
	equal(t, event.Outcome, nsgate.OutcomeFailed)
	equal(t, event.Errno, syscall.EPERM)
	failsWith(t, err, syscall.EPERM)

	failed := errors.New("without an errno")
	event, err = outcomeOf(t, gate, func(context.Context) error { return failed })
	equal(t, event.Errno, syscall.EIO)
	equal(t, err, failed)

	event, err = outcomeOf(t, gate, func(context.Context) error { panic("job") })
	equal(t, event.Outcome, nsgate.OutcomeFailed)
	var panicErr *nsgate.PanicError
	equal(t, errors.As(err, &panicErr), true)

	event, err = outcomeOf(t, gate, func(context.Context) error { runtime.Goexit(); return nil })
	equal(t, event.Outcome, nsgate.OutcomeFailed)
	failsWith(t, err, nsgate.ErrGoexit)
}

func TestAJobThatIsBusyIsTriedAgain(t *testing.T) {
	gate := openGate(t, nsgate.WithRetry(time.Millisecond, time.Millisecond, 5, 0))
	var calls atomic.Int32
	event, err := outcomeOf(t, gate, func(context.Context) error {
		if calls.Add(1) < 3 {
			return syscall.EBUSY
		}
		return nil
	})
	must(t, err)
	equal(t, event.Outcome, nsgate.OutcomeReleased)
	equal(t, event.Attempts, 3)

	event, _ = outcomeOf(t, gate, func(context.Context) error { return syscall.EBUSY })
	equal(t, event.Outcome, nsgate.OutcomeFailed)
	equal(t, event.Errno, syscall.EBUSY)
	equal(t, event.Attempts, 5)
	items := get[[]nsgate.Item](t)(gate.Remaining())
	equal(t, len(items), 1)
	equal(t, items[0].State, nsgate.ItemFailed)
	again := get[nsgate.Ticket](t)(items[0].Ticket.Retry())
	event = get[nsgate.Event](t)(again.Wait(limited(t)))
	equal(t, event.Outcome, nsgate.OutcomeFailed)
	must(t, again.Forget())
	failsWith(t, again.Forget(), nsgate.ErrNotFound)
	equal(t, len(get[[]nsgate.Item](t)(gate.Remaining())), 0)
}

func TestAJobIsSubmittedOnce(t *testing.T) {
	gate := openGate(t)
	var calls atomic.Int32
	job := get[*nsgate.Job](t)(gate.Reserve("job", func(context.Context) error { calls.Add(1); return nil }))
	ticket := get[nsgate.Ticket](t)(job.Submit())
	_, err := job.Submit()
	failsWith(t, err, nsgate.ErrInvalidState)
	get[nsgate.Event](t)(ticket.Wait(limited(t)))
	job.Free()
	job.Free()
	_, err = job.Submit()
	failsWith(t, err, nsgate.ErrClosed)
	given := get[*nsgate.Job](t)(gate.Reserve("given up", func(context.Context) error { calls.Add(1); return nil }))
	given.Free()
	must(t, gate.Fence(limited(t)))
	equal(t, calls.Load(), 1)
}

func TestAFileIsClosedByTheQueue(t *testing.T) {
	gate := openGate(t)
	read, write, err := os.Pipe()
	must(t, err)
	defer read.Close()
	job := get[*nsgate.Job](t)(gate.ReserveClose(write, "pipe"))
	failsWith(t, write.Close(), os.ErrClosed) // the job's now
	ticket := get[nsgate.Ticket](t)(job.Submit())
	event := get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, event.Kind, nsgate.KindDescriptor)
	equal(t, event.Outcome, nsgate.OutcomeReleased)
	if n, err := read.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the pipe is still open: %d, %v", n, err)
	}
}

func TestAMountIsTakenDownByTheQueue(t *testing.T) {
	gate := openGate(t)
	dir := t.TempDir()
	must(t, syscall.Mount("nsgate-test", dir, "tmpfs", 0, ""))
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	job := get[*nsgate.Job](t)(gate.ReserveUnmount(dir, true))
	ticket := get[nsgate.Ticket](t)(job.Submit())
	event := get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, event.Kind, nsgate.KindUnmount)
	equal(t, event.Outcome, nsgate.OutcomeReleased)
	equal(t, len(get[[]os.DirEntry](t)(os.ReadDir(dir))), 0)
	failsWith(t, second(gate.ReserveUnmount(filepath.Join(dir, "none"), false)), os.ErrNotExist)
}

func TestTheStepBeforeAReleaseRunsFirst(t *testing.T) {
	gate := openGate(t)
	chroot, _ := openChroot(t, gate, nil)
	var steps atomic.Int32
	must(t, chroot.BeforeRelease(func(context.Context) error { steps.Add(1); return syscall.ENOTCONN }))
	failsWith(t, chroot.BeforeRelease(func(context.Context) error { return nil }), nsgate.ErrInvalidState)
	ticket := get[nsgate.Ticket](t)(chroot.Release())
	event := get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, event.Outcome, nsgate.OutcomeReleased)
	failsWith(t, event.BeforeRelease, syscall.ENOTCONN)
	equal(t, steps.Load(), 1)
}
