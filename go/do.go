package nsgate

import (
	"context"
	"runtime"
	"sync/atomic"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Do calls f on a thread whose root directory is the chroot, and returns its error. Absolute paths,
// syscalls and libraries that take paths see nothing but the chroot there.
//
// Only f's own goroutine is inside: goroutines that it starts run outside, in the host's namespace. The
// runtime's own threads are never started from inside. f may use LockOSThread as it likes, within 50
// locks that it leaves behind. It must not load anything from the chroot: no net look-ups by cgo, no
// plugins, no time zones.
//
// While Do waits for its turn it holds no thread; a ctx that is done then ends it with ctx's error, and
// f is never called. Once f runs, Do waits for it, whatever ctx says.
//
// A panic of f is returned as a *[PanicError], runtime.Goexit (as by t.FailNow) as [ErrGoexit].
// ErrTainted: f ran, but its thread could not be brought back; the thread is never used again.
func (c *Chroot) Do(ctx context.Context, f func() error) error {
	err := do(ctx, f, func(run *capi.Run, e *capi.Error) int32 {
		return capi.ChrootStart(c.id, run, e)
	})
	runtime.KeepAlive(c)
	return err
}

// The states of a job.
const (
	jobQueued = iota
	jobRuns
	jobGivenUp
	jobEnded
)

// do starts a job and waits for its end.
func do(ctx context.Context, f func() error, start func(*capi.Run, *capi.Error) int32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var state atomic.Int32
	var result, failure error
	done := make(chan struct{})
	run := &capi.Run{
		Function: func() {
			if state.CompareAndSwap(jobQueued, jobRuns) {
				result = f()
			}
		},
		Done: func(ending capi.Ending, e *capi.Error) {
			if failure = endingError(ending); failure == nil && e != nil {
				failure = newError(e)
			}
			state.Store(jobEnded)
			close(done)
		},
	}
	var e capi.Error
	if start(run, &e) != capi.StatusOK {
		return newError(&e)
	}
	if !capi.StayAwake(func() bool { return state.Load() == jobEnded }) {
		select {
		case <-done:
		case <-ctx.Done():
			if state.CompareAndSwap(jobQueued, jobGivenUp) {
				return ctx.Err()
			}
			<-done
		}
	}
	if failure != nil {
		return failure
	}
	return result
}
