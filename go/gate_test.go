//go:build linux && cgo

package nsgate_test

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

func TestACloseOfTheGateReportsWhatWasReleased(t *testing.T) {
	gate := openGate(t)
	for range 10 {
		chroot, _ := openChroot(t, gate, nil)
		must(t, chroot.Close())
	}
	report, err := gate.Close(limited(t))
	must(t, err)
	equal(t, report, nsgate.Report{Released: 10})
	_, err = gate.Close(limited(t))
	failsWith(t, err, nsgate.ErrClosed)
}

func TestAClosedGateRefusesEverything(t *testing.T) {
	gate := openGate(t)
	ns := get[*nsgate.MountNamespace](t)(gate.CurrentNamespace())
	must(t, ns.Close())
	_, err := gate.Close(limited(t))
	must(t, err)
	_, err = gate.OpenChroot(t.TempDir(), nil)
	failsWith(t, err, nsgate.ErrClosed)
	failsWith(t, err, fs.ErrClosed)
	_, err = gate.CurrentNamespace()
	failsWith(t, err, nsgate.ErrClosed)
	_, err = nsgate.NewMap[int](gate)
	failsWith(t, err, nsgate.ErrClosed)
	_, err = gate.Reserve("job", func(context.Context) error { return nil })
	failsWith(t, err, nsgate.ErrClosed)
	_, err = gate.Stats()
	failsWith(t, err, nsgate.ErrClosed)
	_, err = gate.Drain(limited(t))
	equal(t, err, error(nsgate.ErrClosed))
	equal(t, gate.Fence(limited(t)), error(nsgate.ErrClosed))
}

func TestACloseThatRunsOutOfTimeAbandonsAndCancels(t *testing.T) {
	gate := openGate(t)
	started, released := make(chan struct{}), make(chan struct{})
	job := get[*nsgate.Job](t)(gate.Reserve("hanging", func(ctx context.Context) error {
		close(started)
		<-ctx.Done()
		close(released)
		return ctx.Err()
	}))
	ticket := get[nsgate.Ticket](t)(job.Submit())
	<-started
	told := make(chan nsgate.Event, 10)
	gate.OnRelease(func(event nsgate.Event) { told <- event })
	waited := make(chan nsgate.Event, 1)
	go func() {
		event, err := ticket.Wait(context.Background())
		if err != nil {
			t.Error(err)
		}
		waited <- event
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	report, err := gate.Close(ctx)
	must(t, err)
	equal(t, report.Abandoned, 1)
	<-released
	if len(told) != 1 {
		t.Fatalf("%d events were told when Close returned", len(told))
	}
	event := <-told
	equal(t, event.Ticket, ticket)
	equal(t, event.Outcome, nsgate.OutcomeAbandoned)
	equal(t, event.Kind, nsgate.KindJob)
	equal(t, <-waited, event)
}

func TestAListenerThatHangsHidesNoOutcomeFromAClose(t *testing.T) {
	gate := openGate(t)
	called, hold := make(chan struct{}, 10), make(chan struct{})
	gate.OnRelease(func(nsgate.Event) {
		called <- struct{}{}
		<-hold
	})
	first, _ := openChroot(t, gate, nil)
	must(t, first.Close())
	<-called
	second, _ := openChroot(t, gate, nil)
	begin := make(chan struct{})
	must(t, second.BeforeRelease(func(context.Context) error { <-begin; return nil }))
	ticket := get[nsgate.Ticket](t)(second.Release())
	waited := make(chan error, 1)
	go func() {
		event, err := ticket.Wait(limited(t))
		if err == nil && event.Outcome != nsgate.OutcomeReleased {
			t.Errorf("got %+v", event)
		}
		waited <- err
	}()
	eventually(t, "somebody waits", func() string {
		if gate.Waits() == 0 {
			return "nobody"
		}
		return ""
	})
	close(begin)
	eventually(t, "both are released", func() string {
		if stats := get[nsgate.Stats](t)(gate.Stats()); stats.Released < 2 {
			return "not yet"
		}
		return ""
	})
	closed := make(chan error, 1)
	go func() {
		report, err := gate.Close(limited(t))
		equal(t, report, nsgate.Report{Released: 2})
		closed <- err
	}()
	select {
	case err := <-closed:
		must(t, err)
	case <-time.After(patience):
		t.Error("the close hangs")
	}
	must(t, <-waited)
	close(hold)
}

func TestAListenerThatWaitsForWhoClosesTheGateKeepsNobody(t *testing.T) {
	gate := openGate(t)
	started := make(chan struct{})
	job := get[*nsgate.Job](t)(gate.Reserve("hanging", func(ctx context.Context) error {
		close(started)
		<-ctx.Done()
		return ctx.Err()
	}))
	ticket := get[nsgate.Ticket](t)(job.Submit())
	<-started
	told := make(chan nsgate.Event)
	gate.OnRelease(func(event nsgate.Event) { told <- event })
	over, cancel := context.WithCancel(context.Background())
	cancel()
	closed := make(chan error, 1)
	go func() { closed <- second(gate.Close(over)) }()
	select {
	case err := <-closed:
		must(t, err)
	case <-time.After(patience):
		t.Error("the close hangs")
	}
	select {
	case event := <-told:
		equal(t, event.Ticket, ticket)
	case <-time.After(patience):
		t.Error("nothing is told")
	}
}

func TestAListenerMayCloseTheGate(t *testing.T) {
	gate := openGate(t)
	closed := make(chan error, 1)
	gate.OnRelease(func(nsgate.Event) {
		_, err := gate.Close(limited(t))
		closed <- err
	})
	chroot, _ := openChroot(t, gate, nil)
	must(t, chroot.Close())
	select {
	case err := <-closed:
		must(t, err)
	case <-time.After(patience):
		t.Error("the close hangs")
	}
}

func TestTheGateCantBeClosedByItsOwnJob(t *testing.T) {
	gate := openGate(t)
	job := get[*nsgate.Job](t)(gate.Reserve("closer", func(ctx context.Context) error {
		_, err := gate.Close(ctx)
		return err
	}))
	ticket := get[nsgate.Ticket](t)(job.Submit())
	event := get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, event.Outcome, nsgate.OutcomeFailed)
	failsWith(t, job.Err(), nsgate.ErrWouldDeadlock)
	chroot, _ := openChroot(t, gate, nil) // nothing has changed
	must(t, chroot.Close())
}

func TestTheGateCantBeClosedInADo(t *testing.T) {
	gate := openGate(t)
	chroot, volume := openChroot(t, gate, nil)
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		err := chroot.Do(context.Background(), func() error {
			if err := chroot.Close(); err != nil { // the release waits for the Do
				return err
			}
			_, err := gate.Close(context.Background())
			return err
		})
		failsWith(t, err, nsgate.ErrWouldDeadlock)
	}()
	select {
	case <-checked:
	case <-time.After(patience):
		t.Fatal("the close hangs")
	}
	other := get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil)) // nothing has changed
	must(t, other.Close())
	ns := get[*nsgate.MountNamespace](t)(gate.CurrentNamespace())
	must(t, ns.Close())
}

func TestAGateThatClosesRefusesEverything(t *testing.T) {
	gate := openGate(t)
	hold := make(chan struct{})
	job := get[*nsgate.Job](t)(gate.Reserve("slow", func(context.Context) error { <-hold; return nil }))
	get[nsgate.Ticket](t)(job.Submit())
	var closing group
	closing.Go(func() {
		_, err := gate.Close(limited(t))
		if err != nil {
			t.Error(err)
		}
	})
	eventually(t, "jobs are refused", func() string {
		job, err := gate.Reserve("late", func(context.Context) error { return nil })
		if err == nil {
			job.Free()
			return "not yet"
		}
		failsWith(t, err, nsgate.ErrClosed)
		return ""
	})
	failsWith(t, second(gate.OpenChroot(t.TempDir(), nil)), nsgate.ErrClosed)
	close(hold)
	closing.Wait()
}

func TestMoreThanTheCapacityIsRefusedAtOnce(t *testing.T) {
	gate := openGate(t, nsgate.WithCapacity(2))
	one, _ := openChroot(t, gate, nil)
	openChroot(t, gate, nil)
	volume := t.TempDir()
	_, err := gate.OpenChroot(volume, nil)
	failsWith(t, err, nsgate.ErrFull)
	ticket := get[nsgate.Ticket](t)(one.Release())
	get[nsgate.Event](t)(ticket.Wait(limited(t)))
	again, err := gate.OpenChroot(volume, nil)
	must(t, err)
	must(t, again.Close())
}

func TestDrainAndFenceWaitForWhatWasHandedOver(t *testing.T) {
	gate := openGate(t)
	hold := make(chan struct{})
	job := get[*nsgate.Job](t)(gate.Reserve("slow", func(context.Context) error { <-hold; return nil }))
	get[nsgate.Ticket](t)(job.Submit())

	short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	report, err := gate.Drain(short)
	failsWith(t, err, context.DeadlineExceeded)
	equal(t, report.Remaining, 1)
	failsWith(t, gate.Fence(short), context.DeadlineExceeded)

	items := get[[]nsgate.Item](t)(gate.Remaining())
	equal(t, len(items), 1)
	equal(t, items[0].Label, "slow")
	equal(t, items[0].Kind, nsgate.KindJob)
	equal(t, items[0].State, nsgate.ItemRunning)

	fenced := make(chan error)
	go func() { fenced <- gate.Fence(limited(t)) }()
	close(hold)
	must(t, <-fenced)
	report, err = gate.Drain(limited(t))
	must(t, err)
	equal(t, report, nsgate.Report{Released: 1})
}

func TestAFenceWaitsForMoreThanAReportLists(t *testing.T) {
	gate := openGate(t)
	begin, last, hold := make(chan struct{}), make(chan struct{}), make(chan struct{})
	submit := func(f func()) {
		job := get[*nsgate.Job](t)(gate.Reserve("job", func(context.Context) error { f(); return nil }))
		get[nsgate.Ticket](t)(job.Submit())
	}
	for range 4 { // one for each worker
		submit(func() { <-begin })
	}
	for range 1_100 {
		submit(func() {})
	}
	submit(func() { close(last); <-hold })

	fenced := make(chan error, 1)
	go func() { fenced <- gate.Fence(limited(t)) }()
	time.Sleep(20 * time.Millisecond) // so that it has looked
	close(begin)
	<-last
	eventually(t, "only the last one is left", func() string {
		stats := get[nsgate.Stats](t)(gate.Stats())
		if stats.Released < 1_104 {
			return "not yet"
		}
		return ""
	})
	select {
	case err := <-fenced:
		t.Errorf("it passed before the last one had ended: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(hold)
	select {
	case err := <-fenced:
		must(t, err)
	case <-time.After(patience):
		t.Error("the fence hangs")
	}
}

func TestAFenceFromInsideAJobIsRefused(t *testing.T) {
	gate := openGate(t)
	job := get[*nsgate.Job](t)(gate.Reserve("fence", gate.Fence))
	ticket := get[nsgate.Ticket](t)(job.Submit())
	get[nsgate.Event](t)(ticket.Wait(limited(t)))
	failsWith(t, job.Err(), nsgate.ErrWouldDeadlock)
}

func TestStatsCountWhatHappens(t *testing.T) {
	gate := openGate(t, nsgate.WithCapacity(100))
	chroot, _ := openChroot(t, gate, nil)
	stats := get[nsgate.Stats](t)(gate.Stats())
	equal(t, stats.Reserved, 1)
	equal(t, stats.Capacity, 100)
	ticket := get[nsgate.Ticket](t)(chroot.Release())
	get[nsgate.Event](t)(ticket.Wait(limited(t)))
	stats = get[nsgate.Stats](t)(gate.Stats())
	equal(t, stats.Adds, 1)
	equal(t, stats.Released, 1)
	equal(t, stats.QueueDuration.Count, 1)
	equal(t, stats.WorkDuration.Count, 1)
	var buckets uint64
	for _, n := range stats.WorkDuration.Buckets {
		buckets += n
	}
	equal(t, buckets, 1)
	equal(t, stats.WorkDuration.Bound(1), 4*time.Microsecond)
	get[nsgate.Features](t)(gate.Features())
}

func TestOnReleaseTellsEveryReleaseInOrder(t *testing.T) {
	gate := openGate(t)
	events := make(chan nsgate.Event, 100)
	stop := gate.OnRelease(func(event nsgate.Event) { events <- event })
	for i := range 20 {
		chroot, _ := openChroot(t, gate, nil)
		ticket := get[nsgate.Ticket](t)(chroot.Release())
		event := <-events
		equal(t, event.Ticket, ticket)
		equal(t, event.Sequence, uint64(i+1))
		equal(t, event.Kind, nsgate.KindChroot)
		equal(t, event.Outcome, nsgate.OutcomeReleased)
	}
	stop()
	chroot, _ := openChroot(t, gate, nil)
	ticket := get[nsgate.Ticket](t)(chroot.Release())
	get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, len(events), 0)
}

func TestErrorsSayWhatTheyAre(t *testing.T) {
	err := error(&nsgate.Error{Status: nsgate.StatusOS, Errno: syscall.ENOENT, Message: "open"})
	failsWith(t, err, fs.ErrNotExist)
	failsWith(t, err, syscall.ENOENT)
	if errors.Is(err, nsgate.ErrClosed) || errors.Is(err, &nsgate.Error{Status: nsgate.StatusOS, Errno: syscall.EPERM}) {
		t.Error("matches what it isn't")
	}
	failsWith(t, nsgate.ErrUnsupported, errors.ErrUnsupported)
	equal(t, nsgate.StatusWouldDeadlock.String(), "would deadlock")
	equal(t, nsgate.Status(99).String(), "status 99")
}
