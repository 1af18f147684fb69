//go:build linux && cgo

package nsgate_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/internal/capi"
)

// holder is a host's value that has the handle of its own life.
type holder struct {
	sandbox *nsgate.Sandbox[*holder]
	name    string
}

const lives = 200

// held registers lives whose values have their handles, and counts those that are collected.
func held(t *testing.T, m *nsgate.Map[*holder], collected *atomic.Int32, each func(*nsgate.Sandbox[*holder])) {
	for i := range lives {
		value := &holder{name: fmt.Sprint("life", i)}
		runtime.AddCleanup(value, func(struct{}) { collected.Add(1) }, struct{}{})
		value.sandbox = get[*nsgate.Sandbox[*holder]](t)(m.Register("sandbox", value.name, value))
		each(value.sandbox)
	}
}

// allCollected waits until the values of held are, and C has none of their numbers.
func allCollected(t *testing.T, collected *atomic.Int32) {
	t.Helper()
	eventually(t, "all values are collected", func() string {
		runtime.GC()
		_, _, inUse, _, _ := capi.Live()
		if now := collected.Load(); now != lives || inUse != 0 {
			return fmt.Sprintf("%d values of %d, %d numbers in use", now, lives, inUse)
		}
		return ""
	})
}

func TestAValueThatHoldsItsSandboxGoesWithItsLife(t *testing.T) {
	m := get[*nsgate.Map[*holder]](t)(nsgate.NewMap[*holder](openGate(t)))
	ctx := context.Background()
	var collected atomic.Int32
	held(t, m, &collected, func(s *nsgate.Sandbox[*holder]) {
		changes(t)(s.MarkRunning(ctx))
		changes(t)(s.NetworkReleased(ctx))
		changes(t)(s.MarkStopped(ctx))
	})
	allCollected(t, &collected) // while the map is open
	must(t, m.Close())
}

func TestAValueThatHoldsItsSandboxGoesWithItsMap(t *testing.T) {
	m := get[*nsgate.Map[*holder]](t)(nsgate.NewMap[*holder](openGate(t)))
	var collected atomic.Int32
	held(t, m, &collected, func(s *nsgate.Sandbox[*holder]) { changes(t)(s.MarkRunning(context.Background())) })
	must(t, m.Close())
	allCollected(t, &collected)
}

func TestAValueIsThereUntilWhatWasAttachedIsGone(t *testing.T) {
	gate := openGate(t)
	m := get[*nsgate.Map[*holder]](t)(nsgate.NewMap[*holder](gate))
	ctx := context.Background()
	told, letGo := make(chan string, lives), make(chan struct{})
	get[*nsgate.Subscription](t)(m.Subscribe("late", nsgate.Callbacks[*holder]{
		Release: func(_ context.Context, h *holder, _ nsgate.Event) { told <- h.name },
	}))
	var collected atomic.Int32
	held(t, m, &collected, func(s *nsgate.Sandbox[*holder]) {
		job := get[*nsgate.Job](t)(gate.Reserve("late", func(context.Context) error { <-letGo; return nil }))
		must(t, s.AttachJob(job))
		changes(t)(s.MarkStopped(ctx))
		changesNothing(t)(s.NetworkReleased(ctx)) // it has left the map
	})
	for range 5 {
		runtime.GC()
	}
	equal(t, m.Lifecycles(), 0)
	equal(t, collected.Load(), 0)
	close(letGo)
	names := make(map[string]bool)
	for range lives {
		names[<-told] = true
	}
	equal(t, len(names), lives)
	allCollected(t, &collected)
	must(t, m.Close())
}

func TestASandboxStaysReadableAfterItsLife(t *testing.T) {
	m := openMap(t, openGate(t))
	ctx := context.Background()
	s := register(t, m, "sandbox", "life")
	changes(t)(s.AssignNetwork(one))
	changes(t)(s.NetworkReleased(ctx))
	changes(t)(s.MarkStopped(ctx))
	eventually(t, "nobody is told of it any more", func() string {
		if _, _, inUse, _, _ := capi.Live(); inUse != 0 {
			return fmt.Sprint(inUse, " lives")
		}
		return ""
	})
	equal(t, s.Value().name, "life")
	equal(t, get[nsgate.SandboxInfo](t)(s.Info()), nsgate.SandboxInfo{
		SandboxID: "sandbox", LifecycleID: "life", State: nsgate.StateStopped, Network: nsgate.NetworkReleased, Address: one,
	})
	changesNothing(t)(s.NetworkReleased(ctx))
	register(t, m, "sandbox", "life") // its id is free, its handle is not the successor's
	_, err := s.MarkRunning(ctx)
	failsWith(t, err, nsgate.ErrInvalidState)
}

func TestAForgottenMapIsClosedAlthoughItHasASubscriber(t *testing.T) {
	gate := openGate(t)
	func() {
		m := get[*nsgate.Map[*box]](t)(nsgate.NewMap[*box](gate))
		get[*nsgate.Subscription](t)(m.Subscribe("subscriber", nsgate.Callbacks[*box]{}))
		register(t, m, "sandbox", "life")
	}()
	eventually(t, "the map's subscriber and life have ended", func() string {
		runtime.GC()
		if _, _, inUse, subscribers, _ := capi.Live(); inUse+subscribers != 0 {
			return fmt.Sprint(inUse, " lives, ", subscribers, " subscribers")
		}
		return ""
	})
}

func TestTheGateClosesMapsThatSomethingInThemHolds(t *testing.T) {
	gate := openGate(t)
	func() {
		m := get[*nsgate.Map[*holder]](t)(nsgate.NewMap[*holder](gate))
		get[*nsgate.Subscription](t)(m.Subscribe("subscriber", nsgate.Callbacks[*holder]{
			Insert: func(context.Context, *holder) { m.Count() },
		}))
		value := &holder{}
		value.sandbox = get[*nsgate.Sandbox[*holder]](t)(m.Register("sandbox", "life", value))
	}()
	get[nsgate.Report](t)(gate.Close(limited(t))) // nothing is left, as openGate sees
}

func TestAMapOfAClosedGateIsClosed(t *testing.T) {
	gate := openGate(t)
	m := get[*nsgate.Map[*box]](t)(nsgate.NewMap[*box](gate))
	s := register(t, m, "sandbox", "life")
	get[nsgate.Report](t)(gate.Close(limited(t)))
	_, err := m.Register("sandbox", "another", nil)
	failsWith(t, err, nsgate.ErrClosed)
	_, err = s.MarkRunning(context.Background())
	failsWith(t, err, nsgate.ErrClosed)
	_, err = m.MarkRunning(context.Background(), "life")
	failsWith(t, err, nsgate.ErrClosed)
	_, err = m.AssignNetwork("life", one)
	failsWith(t, err, nsgate.ErrClosed)
	failsWith(t, m.WaitLifecycles(limited(t)), nsgate.ErrClosed)
	failsWith(t, m.Close(), nsgate.ErrClosed)
}
