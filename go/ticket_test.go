//go:build linux && cgo

package nsgate_test

import (
	"context"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

func TestAnyNumberCanWaitForATicketAlsoAfterItsEnd(t *testing.T) {
	gate := openGate(t)
	hold := make(chan struct{})
	job := get[*nsgate.Job](t)(gate.Reserve("slow", func(context.Context) error { <-hold; return nil }))
	ticket := get[nsgate.Ticket](t)(job.Submit())
	var wg group
	for range 50 {
		wg.Go(func() {
			event, err := ticket.Wait(limited(t))
			if err != nil || event.Outcome != nsgate.OutcomeReleased || event.Ticket != ticket {
				t.Errorf("got %+v, %v", event, err)
			}
		})
	}
	short, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := ticket.Wait(short)
	failsWith(t, err, context.DeadlineExceeded)
	close(hold)
	wg.Wait()
	event := get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, event.Kind, nsgate.KindJob)
}

func TestAJobThatWaitsForItselfIsRefusedAndNobodyElse(t *testing.T) {
	gate := openGate(t)
	tickets, refused := make(chan nsgate.Ticket, 1), make(chan struct{})
	job := get[*nsgate.Job](t)(gate.Reserve("waits for itself", func(ctx context.Context) error {
		ticket := <-tickets
		for range 50 {
			if _, err := ticket.Wait(ctx); !errorIs(err, nsgate.ErrWouldDeadlock) {
				t.Errorf("got the error %v", err)
			}
			time.Sleep(time.Millisecond)
		}
		close(refused)
		return nil
	}))
	ticket := get[nsgate.Ticket](t)(job.Submit())
	var wg group
	for range 10 {
		wg.Go(func() {
			if event, err := ticket.Wait(limited(t)); err != nil || event.Outcome != nsgate.OutcomeReleased {
				t.Errorf("got %+v, %v", event, err)
			}
		})
	}
	tickets <- ticket
	<-refused
	wg.Wait()
}

func TestATicketThatNeverWasIsNotFound(t *testing.T) {
	_, err := nsgate.Ticket{}.Wait(context.Background())
	failsWith(t, err, nsgate.ErrNotFound)
	failsWith(t, nsgate.Ticket{}.Cancel(), nsgate.ErrNotFound)
}

func TestACancelledReleaseMakesTheChrootOpenAgain(t *testing.T) {
	gate := openGate(t)
	hold, held := make(chan struct{}), make(chan struct{})
	blocker, _ := openChroot(t, gate, nil)
	chroot, _ := openChroot(t, gate, nil)
	must(t, chroot.BeforeRelease(func(context.Context) error { close(held); <-hold; return nil }))
	must(t, blocker.Close())
	ticket := get[nsgate.Ticket](t)(chroot.Release())
	told, released := chroot.Ticket()
	equal(t, released, true)
	equal(t, told, ticket)
	<-held
	failsWith(t, ticket.Cancel(), nsgate.ErrInvalidState) // it has started
	failsWith(t, chroot.CancelRelease(), nsgate.ErrInvalidState)
	close(hold)
	event := get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, event.Outcome, nsgate.OutcomeReleased)

	// All workers that may block are busy: what waits for one can be taken back.
	busy := make(chan struct{})
	var jobs []nsgate.Ticket
	for range 4 {
		started := make(chan struct{})
		job := get[*nsgate.Job](t)(gate.Reserve("busy", func(context.Context) error { close(started); <-busy; return nil }))
		jobs = append(jobs, get[nsgate.Ticket](t)(job.Submit()))
		<-started
	}
	again, _ := openChroot(t, gate, nil)
	_, released = again.Ticket()
	equal(t, released, false)
	must(t, again.BeforeRelease(func(context.Context) error { return nil }))
	ticket = get[nsgate.Ticket](t)(again.Release())
	must(t, ticket.Cancel())
	event = get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, event.Outcome, nsgate.OutcomeCancelled)
	equal(t, again.IsClosed(), false)
	_, released = again.Ticket()
	equal(t, released, false)
	must(t, again.Mkdir("open-again", 0o755))
	close(busy)
	for _, ticket := range jobs {
		get[nsgate.Event](t)(ticket.Wait(limited(t)))
	}
}

func TestEventsDroppedBeforeTheFirstLookDontLoseAWait(t *testing.T) {
	gate := openGate(t, nsgate.WithEventCapacity(1))
	letGo := gate.HoldEvents()
	hold := make(chan struct{})
	job := get[*nsgate.Job](t)(gate.Reserve("first", func(context.Context) error { <-hold; return nil }))
	ticket := get[nsgate.Ticket](t)(job.Submit())
	waited := make(chan error, 1)
	go func() {
		_, err := ticket.Wait(limited(t))
		waited <- err
	}()
	eventually(t, "somebody waits", func() string {
		if gate.Waits() == 0 {
			return "nobody"
		}
		return ""
	})
	// It has looked, and has to be told.
	time.Sleep(20 * time.Millisecond)
	close(hold)
	for released := range uint64(2) {
		eventually(t, "it is released", func() string {
			if stats := get[nsgate.Stats](t)(gate.Stats()); stats.Released <= released {
				return "not yet"
			}
			return ""
		})
		if released == 0 { // whose event takes the place of the first
			chroot, _ := openChroot(t, gate, nil)
			must(t, chroot.Close())
		}
	}
	letGo()
	must(t, <-waited)
}

func TestDroppedEventsDontLoseAWait(t *testing.T) {
	gate := openGate(t, nsgate.WithEventCapacity(1))
	block := make(chan struct{})
	stop := gate.OnRelease(func(nsgate.Event) { <-block })
	defer stop()
	var tickets []nsgate.Ticket
	for range 50 {
		chroot, _ := openChroot(t, gate, nil)
		tickets = append(tickets, get[nsgate.Ticket](t)(chroot.Release()))
	}
	var wg group
	for _, ticket := range tickets {
		wg.Go(func() {
			if event, err := ticket.Wait(limited(t)); err != nil || event.Outcome != nsgate.OutcomeReleased {
				t.Errorf("got %+v, %v", event, err)
			}
		})
	}
	eventually(t, "all are released", func() string {
		stats := get[nsgate.Stats](t)(gate.Stats())
		if stats.Released < 50 {
			return "not yet"
		}
		return ""
	})
	close(block)
	wg.Wait()
}
