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
// Do stays on its thread for up to 100 µs, in which a short f has ended. While it waits longer it holds no
// thread; a ctx that is done before f's turn then ends it with ctx's error, f is never called, and nothing
// is left in the queue. Once f runs, Do waits for it, whatever ctx says.
//
// A panic of f is returned as a *[PanicError], runtime.Goexit (as by t.FailNow) as [ErrGoexit].
// ErrTainted: f ran, but its thread could not be brought back, or f left it with another user or group for
// files (setfsuid); the thread is never used again. What else f changes of its thread, such as capabilities,
// groups or the network namespace, it must put back.
func (c *Chroot) Do(ctx context.Context, f func() error) error {
	err := do(ctx, c.gate.id, f, func(run *capi.Run) int32 { return capi.ChrootStart(c.id, run) })
	runtime.KeepAlive(c)
	return err
}

// visit is a Do: the job, and whom it belongs to.
type visit struct {
	run             capi.Run
	f               func() error
	turn            atomic.Int32
	end             atomic.Int32
	result, failure error         // once it has ended
	ended           chan struct{} // closed at the end, if somebody is parked
}

// What may become of a turn.
const (
	turnWaits = iota
	turnCame
	turnGivenUp
)

// How the end is waited for.
const (
	endIsLookedFor = iota
	endIsParkedFor
	endIsHere
)

// Run is called on the namespace thread.
func (v *visit) Run() {
	if v.turn.CompareAndSwap(turnWaits, turnCame) {
		v.result = v.f()
	}
}

// Done is called after Run, or instead of it.
func (v *visit) Done(ending capi.Ending, e *capi.Error) {
	if v.failure = endingError(ending); v.failure == nil && e != nil {
		v.failure = newError(e)
	}
	if v.end.Swap(endIsHere) == endIsParkedFor {
		close(v.ended)
	}
}

// do starts a job and waits for its end.
func do(ctx context.Context, gate uint64, f func() error, start func(*capi.Run) int32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	v := &visit{f: f}
	v.run.Job = v
	if start(&v.run) != capi.StatusOK {
		return newError(&v.run.Error)
	}
	if !capi.StayAwake(&v.end, endIsHere) {
		v.ended = make(chan struct{})
		if v.end.CompareAndSwap(endIsLookedFor, endIsParkedFor) && !v.park(ctx, gate) {
			return ctx.Err()
		}
	}
	if v.failure != nil {
		return v.failure
	}
	return v.result
}

// park waits for the end. False: ctx was done before the job's turn came.
func (v *visit) park(ctx context.Context, gate uint64) bool {
	select {
	case <-v.ended:
	case <-ctx.Done():
		if v.turn.CompareAndSwap(turnWaits, turnGivenUp) {
			// Otherwise the release of what it was to run in would wait for its turn. Where a thread has
			// it already, on its way in, that is no wait for others.
			v.run.TakeBack(gate)
			return false
		}
		<-v.ended
	}
	return true
}
