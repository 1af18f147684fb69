//go:build linux && cgo

package nsgate_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// journal collects what subscribers are told.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (l *journal) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *journal) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

func (l *journal) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := l.take(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

type key struct{}

// named is a subscriber that logs under a name.
func (l *journal) named(name string) nsgate.Callbacks[*box] {
	say := func(event string) func(context.Context, *box) {
		return func(ctx context.Context, b *box) { l.add(fmt.Sprint(name, event, b.name, ctx.Value(key{}))) }
	}
	return nsgate.Callbacks[*box]{Insert: say("+"), NetworkRelease: say("-")}
}

func TestSubscribersAreToldInOrderWithTheCallersContext(t *testing.T) {
	m := openMap(t, openGate(t))
	var told journal
	for _, name := range []string{"a", "b", "c"} {
		get[*nsgate.Subscription](t)(m.Subscribe(name, told.named(name)))
	}
	ctx := context.WithValue(context.Background(), key{}, "!")
	s := register(t, m, "s", "life")
	told.expect(t)
	changes(t)(s.MarkRunning(ctx))
	told.expect(t, "a+life!", "b+life!", "c+life!")
	changesNothing(t)(s.MarkRunning(ctx))
	changes(t)(s.MarkStopping(ctx))
	told.expect(t)
	changes(t)(s.AssignNetwork(one))
	changes(t)(m.NetworkReleased(ctx, one, "life"))
	told.expect(t, "a-life!", "b-life!", "c-life!")
}

func TestAPanicKeepsNobodyFromBeingTold(t *testing.T) {
	m := openMap(t, openGate(t))
	var told journal
	get[*nsgate.Subscription](t)(m.Subscribe("first", told.named("a")))
	failed := errors.New("failed")
	bad := get[*nsgate.Subscription](t)(m.Subscribe("bad", nsgate.Callbacks[*box]{
		Insert:         func(context.Context, *box) { panic(failed) },
		NetworkRelease: func(context.Context, *box) { panic(failed) },
	}))
	get[*nsgate.Subscription](t)(m.Subscribe("last", told.named("z")))
	s := register(t, m, "s", "life")
	changed, err := s.MarkRunning(context.Background())
	equal(t, changed, true)
	failsWith(t, err, failed)
	var panicErr *nsgate.PanicError
	if !errors.As(err, &panicErr) || panicErr.Where != "bad" || len(panicErr.Stack) == 0 {
		t.Errorf("got %#v", err)
	}
	told.expect(t, "a+life<nil>", "z+life<nil>")
	_, err = s.NetworkReleased(context.Background())
	failsWith(t, err, failed)
	stats := get[nsgate.SubscriberStats](t)(bad.Stats())
	equal(t, stats.Calls, 2)
	equal(t, stats.Failures, 2)
	equal(t, stats.Name, "bad")
	changes(t)(s.MarkStopped(context.Background()))
	must(t, m.WaitLifecycles(limited(t)))
}

func TestACallbackMayChangeWhatItIsToldOf(t *testing.T) {
	m := openMap(t, openGate(t))
	var told journal
	get[*nsgate.Subscription](t)(m.Subscribe("changer", nsgate.Callbacks[*box]{
		Insert: func(ctx context.Context, b *box) {
			if b.name == "other" {
				return
			}
			nested := context.WithValue(ctx, key{}, "nested")
			changes(t)(register(t, m, "o", "other").MarkRunning(nested))
			s, _ := m.Sandbox(b.name)
			changes(t)(s.NetworkReleased(nested))
			equal(t, m.WaitLifecycles(ctx), error(nsgate.ErrWouldDeadlock))
		},
	}))
	get[*nsgate.Subscription](t)(m.Subscribe("teller", told.named("t")))
	s := register(t, m, "s", "life")
	changes(t)(s.MarkRunning(context.WithValue(context.Background(), key{}, "outer")))
	// The nested release of the same life is told after its insert, with its own context.
	told.expect(t, "t+othernested", "t+lifeouter", "t-lifenested")
}

func TestAPanicThatIsToldLateReachesTheOuterChange(t *testing.T) {
	m := openMap(t, openGate(t))
	failed := errors.New("failed")
	get[*nsgate.Subscription](t)(m.Subscribe("changer", nsgate.Callbacks[*box]{
		Insert: func(ctx context.Context, b *box) {
			changes(t)(m.MarkStopped(ctx, b.name))
			s, _ := m.Sandbox(b.name)
			changes(t)(s.NetworkReleased(ctx))
		},
		NetworkRelease: func(context.Context, *box) { panic(failed) },
	}))
	changed, err := register(t, m, "s", "life").MarkRunning(context.Background())
	equal(t, changed, true)
	failsWith(t, err, failed)
	must(t, m.WaitLifecycles(limited(t)))
}

func TestUnsubscribeFromAnywhere(t *testing.T) {
	m := openMap(t, openGate(t))
	var told journal
	var self, other *nsgate.Subscription
	self = get[*nsgate.Subscription](t)(m.Subscribe("self", nsgate.Callbacks[*box]{
		Insert: func(ctx context.Context, b *box) {
			told.add("self")
			failsWith(t, self.UnsubscribeWait(ctx), nsgate.ErrWouldDeadlock)
			must(t, self.Unsubscribe())
			must(t, other.UnsubscribeWait(ctx))
		},
	}))
	other = get[*nsgate.Subscription](t)(m.Subscribe("other", told.named("other")))
	last := get[*nsgate.Subscription](t)(m.Subscribe("last", told.named("last")))
	changes(t)(register(t, m, "s", "life").MarkRunning(context.Background()))
	told.expect(t, "self", "last+life<nil>")
	must(t, self.UnsubscribeWait(limited(t)))
	must(t, other.UnsubscribeWait(limited(t)))
	must(t, last.UnsubscribeWait(limited(t)))
	must(t, last.UnsubscribeWait(limited(t)))
	failsWith(t, last.Unsubscribe(), nsgate.ErrNotFound)
	changes(t)(register(t, m, "s", "two").MarkRunning(context.Background()))
	told.expect(t)
}

func TestUnsubscribeWaitWaitsForTheCallUnderWay(t *testing.T) {
	m := openMap(t, openGate(t))
	started, hold := make(chan struct{}), make(chan struct{})
	subscription := get[*nsgate.Subscription](t)(m.Subscribe("slow", nsgate.Callbacks[*box]{
		Insert: func(context.Context, *box) { close(started); <-hold },
	}))
	var all group
	s := register(t, m, "s", "life")
	all.Go(func() { changes(t)(s.MarkRunning(context.Background())) })
	<-started
	short, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	failsWith(t, subscription.UnsubscribeWait(short), context.DeadlineExceeded)
	waited := make(chan error)
	go func() { waited <- subscription.UnsubscribeWait(limited(t)) }()
	close(hold)
	must(t, <-waited)
	all.Wait()
}

func TestOnReleaseTellsWhatBelongedToASandbox(t *testing.T) {
	gate := openGate(t)
	m := openMap(t, gate)
	type release struct {
		box   *box
		event nsgate.Event
	}
	released := make(chan release, 10)
	var subscription *nsgate.Subscription
	subscription = get[*nsgate.Subscription](t)(m.Subscribe("volumes", nsgate.Callbacks[*box]{
		Release: func(ctx context.Context, b *box, event nsgate.Event) {
			failsWith(t, subscription.UnsubscribeWait(ctx), nsgate.ErrWouldDeadlock)
			// A wait for a ticket is served by another goroutine.
			get[nsgate.Event](t)(event.Ticket.Wait(limited(t)))
			released <- release{b, event}
		},
	}))
	s := register(t, m, "s", "life")
	for range 3 {
		chroot, _ := openChroot(t, gate, nil)
		must(t, s.Attach(chroot))
	}
	changes(t)(s.NetworkReleased(context.Background()))
	changes(t)(s.MarkStopped(context.Background()))
	for range 3 {
		r := <-released
		equal(t, r.box, s.Value())
		equal(t, r.event.Kind, nsgate.KindChroot)
		equal(t, r.event.Outcome, nsgate.OutcomeReleased)
	}
	must(t, subscription.UnsubscribeWait(limited(t)))
}

func TestAnEndedSubscriberHearsOfNoRelease(t *testing.T) {
	gate := openGate(t)
	m := openMap(t, gate)
	var told journal
	first := true
	var one, two *nsgate.Subscription
	end := func(other **nsgate.Subscription) nsgate.Callbacks[*box] {
		return nsgate.Callbacks[*box]{Release: func(ctx context.Context, b *box, event nsgate.Event) {
			told.add("told")
			if first {
				first = false
				must(t, (*other).UnsubscribeWait(ctx))
			}
		}}
	}
	one = get[*nsgate.Subscription](t)(m.Subscribe("one", end(&two)))
	two = get[*nsgate.Subscription](t)(m.Subscribe("two", end(&one)))
	s := register(t, m, "s", "life")
	for range 5 {
		chroot, _ := openChroot(t, gate, nil)
		must(t, s.Attach(chroot))
	}
	changes(t)(s.NetworkReleased(context.Background()))
	seen := 0
	eventually(t, "one of two is told of five", func() string {
		if seen += len(told.take()); seen < 5 {
			return fmt.Sprint(seen)
		}
		return ""
	})
	must(t, one.UnsubscribeWait(limited(t)))
	must(t, m.Close())
	must(t, two.UnsubscribeWait(limited(t)))
	equal(t, seen+len(told.take()), 5)
}

func TestASlowSubscriberIsCounted(t *testing.T) {
	m := openMap(t, openGate(t, nsgate.WithBudgets(0, 0, time.Microsecond)))
	slow := get[*nsgate.Subscription](t)(m.Subscribe("slow", nsgate.Callbacks[*box]{
		Insert: func(context.Context, *box) { time.Sleep(5 * time.Millisecond) },
	}))
	changes(t)(register(t, m, "s", "life").MarkRunning(context.Background()))
	stats := get[nsgate.SubscriberStats](t)(slow.Stats())
	equal(t, stats.Slow, 1)
	if stats.Longest < 5*time.Millisecond {
		t.Errorf("longest %v", stats.Longest)
	}
}

func TestManyChangesAtOnce(t *testing.T) {
	m := openMap(t, openGate(t))
	var mu sync.Mutex
	seen := map[string][]string{}
	note := func(what string) func(context.Context, *box) {
		return func(_ context.Context, b *box) {
			mu.Lock()
			defer mu.Unlock()
			seen[b.name] = append(seen[b.name], what)
		}
	}
	get[*nsgate.Subscription](t)(m.Subscribe("order", nsgate.Callbacks[*box]{Insert: note("insert"), NetworkRelease: note("release")}))
	var all group
	for worker := range 8 {
		all.Go(func() {
			for i := range 100 {
				id := fmt.Sprint(worker, "-", i)
				s := register(t, m, id, id)
				var both group
				both.Go(func() { s.MarkRunning(context.Background()) })
				both.Go(func() { runtime.Gosched(); s.NetworkReleased(context.Background()) })
				both.Wait()
				changes(t)(s.MarkStopped(context.Background()))
			}
		})
	}
	all.Wait()
	must(t, m.WaitLifecycles(limited(t)))
	for id, told := range seen {
		slices.Sort(told)
		if !slices.Equal(told, []string{"insert", "release"}) {
			t.Errorf("%s was told %q", id, told)
		}
	}
	equal(t, len(seen), 800)
}
