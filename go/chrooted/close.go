package chrooted

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	nsgate "github.com/nsgate/nsgate/go"
)

// Close refuses new operations, lets the running ones finish, and waits until the chroot is gone: for as
// long as [WithCloseDeadline] says. When that passes it answers [nsgate.ErrTimedOut], and the release goes
// on. Called by the function of a Do of the same chroot it doesn't wait, and returns nil. Of a chroot that
// its sandbox has released it waits for that release.
//
// A second Close answers [ErrNamespaceClosed]. A callback that must not block calls CloseAsync.
func (c *Chrooted) Close() error {
	ticket, err := c.CloseAsync()
	if err != nil {
		return err
	}
	s := c.state()
	if s.patience <= 0 || s.inside.hasCaller() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	err = c.wait(ctx, ticket)
	if err != nil && errors.Is(err, ctx.Err()) {
		return &nsgate.Error{
			Status:  nsgate.StatusTimedOut,
			Message: fmt.Sprintf("%q is not released after %v; the release goes on", c.ActualRoot, s.patience),
		}
	}
	return err
}

// CloseContext is Close with a ctx in place of the deadline, whose error it returns when that is done.
func (c *Chrooted) CloseContext(ctx context.Context) error {
	ticket, err := c.CloseAsync()
	if err != nil {
		return err
	}
	if c.state().inside.hasCaller() {
		return nil
	}
	return c.wait(ctx, ticket)
}

// CloseAsync is Close, but doesn't wait: the ticket tells how the release ends. It takes microseconds
// whatever the volume does.
func (c *Chrooted) CloseAsync() (nsgate.Ticket, error) {
	s := c.state()
	ticket, err := s.chroot.Release()
	if err != nil {
		var released bool
		if ticket, released = s.chroot.Ticket(); !released {
			return nsgate.Ticket{}, c.closing(answer(err))
		}
	}
	// One caller gets the ticket, whoever released the chroot. A release that was cancelled is followed by
	// one with another ticket.
	if s.told.Swap(ticket.ID()) == ticket.ID() {
		return nsgate.Ticket{}, c.closing(ErrNamespaceClosed)
	}
	return ticket, nil
}

func (c *Chrooted) wait(ctx context.Context, ticket nsgate.Ticket) error {
	event, err := ticket.Wait(ctx)
	if errors.Is(err, nsgate.ErrNotFound) {
		return nil // its sandbox released it so long ago that only this is left to know: it has ended
	}
	if err != nil {
		return answer(err)
	}
	switch {
	case event.Outcome == nsgate.OutcomeReleased && event.BeforeRelease == nil:
		return nil
	case event.Outcome == nsgate.OutcomeReleased:
		return c.closing(event.BeforeRelease)
	case event.Outcome == nsgate.OutcomeFailed && event.Errno != 0:
		return c.closing(event.Errno)
	}
	return c.closing(fmt.Errorf("the release ended as %v", event.Outcome))
}

func (c *Chrooted) closing(err error) error {
	return &fs.PathError{Op: "close", Path: c.ActualRoot, Err: err}
}
