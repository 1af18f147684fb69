package nsgate

import (
	"context"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Ticket is the id of one release. It ends in exactly one [Outcome]. Tickets are comparable; the zero
// Ticket is none.
type Ticket struct {
	gate *gate
	id   uint64
}

// ID returns the ticket's number, unique for its gate and never 0.
func (t Ticket) ID() uint64 { return t.id }

// Wait waits until the release has ended, or ctx is done. It holds no thread, and any number of
// goroutines may wait for the same ticket, also after its end.
//
// ErrNotFound: the end was so long ago that it is no longer remembered. ErrWouldDeadlock: it has not
// ended, and this is called from inside a function that [Gate.Reserve] or [Chroot.BeforeRelease] was given,
// or in a Do of the chroot that it is the release of.
func (t Ticket) Wait(ctx context.Context) (Event, error) {
	if t.gate == nil {
		return Event{}, ErrNotFound
	}
	waiter, err := t.gate.events.await(t.id)
	if err != nil {
		return Event{}, err
	}
	defer t.gate.events.leave(t.id, waiter)
	// It may have ended before; if not, the waiter is already known to who reads the events.
	var event capi.Event
	if ended, err := t.gate.events.ask(t.id, &event); err != nil {
		return Event{}, err
	} else if ended {
		return newEvent(t.gate, &event), nil
	}
	select {
	case <-waiter.done:
	case <-ctx.Done():
		return Event{}, ctx.Err()
	}
	if waiter.err != nil {
		return Event{}, waiter.err
	}
	return newEvent(t.gate, &waiter.event), nil
}

// Cancel cancels a release that has not started: a chroot is open again then.
//
// ErrInvalidState: it has started, or ended.
func (t Ticket) Cancel() error {
	if t.gate == nil {
		return ErrNotFound
	}
	var e capi.Error
	if capi.GateCancel(t.gate.id, t.id, &e) != capi.StatusOK {
		return newError(&e)
	}
	return nil
}

// Retry gives a failed release another try, under a new ticket.
func (t Ticket) Retry() (Ticket, error) {
	if t.gate == nil {
		return Ticket{}, ErrNotFound
	}
	again := Ticket{gate: t.gate}
	var e capi.Error
	if capi.GateRetryFailed(t.gate.id, t.id, &again.id, &e) != capi.StatusOK {
		return Ticket{}, newError(&e)
	}
	return again, nil
}

// Forget takes a failed release from the list of what failed.
func (t Ticket) Forget() error {
	if t.gate == nil {
		return ErrNotFound
	}
	var e capi.Error
	if capi.GateForgetFailed(t.gate.id, t.id, &e) != capi.StatusOK {
		return newError(&e)
	}
	return nil
}
