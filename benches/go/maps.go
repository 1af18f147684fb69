//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	nsgate "github.com/nsgate/nsgate/go"

	"nsgate.dev/benches/puremap"
)

const lives = 50

// host is the value in both maps.
type host struct{ id int }

// empty is a subscriber of both maps that does nothing.
type empty struct{}

func (empty) OnInsert(context.Context, *host)         {}
func (empty) OnNetworkRelease(context.Context, *host) {}

type emptyPure struct{}

func (emptyPure) OnInsert(context.Context, *host) error         { return nil }
func (emptyPure) OnNetworkRelease(context.Context, *host) error { return nil }

var names = [...]string{"limiter", "metrics", "volumes"}

func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }

// maps are nsgate's map and one in pure Go, both with three subscribers.
type maps struct {
	ours *nsgate.Map[*host]
	pure *puremap.Map[*host]

	ourLives  []*nsgate.Sandbox[*host]
	pureLives []*puremap.Sandbox[*host]
	round     int
}

func newMaps(gate *nsgate.Gate) (*maps, error) {
	ours, err := nsgate.NewMap[*host](gate)
	if err != nil {
		return nil, err
	}
	m := &maps{ours: ours, pure: puremap.New[*host]()}
	for _, name := range names {
		if _, err := ours.Subscribe(name, empty{}); err != nil {
			return nil, err
		}
		m.pure.Subscribe(emptyPure{})
	}
	return m, nil
}

// register makes a life in nsgate's map, with an address.
func (m *maps) register(i int) *nsgate.Sandbox[*host] {
	m.round++
	life := must(m.ours.Register(fmt.Sprint("sandbox-", i), fmt.Sprint("life-", i, "-", m.round), &host{i}))
	must(life.AssignNetwork(address(i)))
	m.ourLives = append(m.ourLives, life)
	return life
}

func (m *maps) registerPure(i int) *puremap.Sandbox[*host] {
	m.round++
	life := must(m.pure.Register(fmt.Sprint("sandbox-", i), fmt.Sprint("life-", i, "-", m.round), &host{i}))
	check(life.AssignNetwork(address(i)))
	m.pureLives = append(m.pureLives, life)
	return life
}

// clear ends all lives of both maps.
func (m *maps) clear() {
	ctx := context.Background()
	for _, life := range m.ourLives {
		must(life.NetworkReleased(ctx))
		must(life.MarkStopped(ctx))
	}
	for _, life := range m.pureLives {
		must(life.NetworkReleased(ctx))
		must(life.MarkStopped(ctx))
	}
	m.ourLives, m.pureLives = nil, nil
}

// measureMap measures events, look-ups, and how long a released network holds its caller.
func measureMap(gate *nsgate.Gate, f *volumeFixture) error {
	ctx := context.Background()
	m, err := newMaps(gate)
	if err != nil {
		return err
	}
	inserts := func() func(*samples) {
		return each(lives, func(i int) func() {
			life := m.register(i)
			return func() { must(life.MarkRunning(ctx)) }
		}, m.clear)
	}
	pureInserts := each(lives, func(i int) func() {
		life := m.registerPure(i)
		return func() { must(life.MarkRunning(ctx)) }
	}, m.clear)
	compare("MarkRunning, 3 empty subscribers", 301, inserts(), contender{"pure Go map", pureInserts, show})
	measureEvent(ctx, gate, m)

	for i := range lives {
		m.register(i)
		m.registerPure(i)
	}
	next, nextPure := 0, 0
	compare("look-up by address", 301,
		repeat(50, func() {
			next++
			if _, ok := m.ours.GetByAddress(address(next % lives)); !ok {
				panic("not found")
			}
		}),
		contender{"pure Go map", repeat(50, func() {
			nextPure++
			if _, ok := m.pure.FindByAddress(address(nextPure % lives)); !ok {
				panic("not found")
			}
		}), atMost(2)})
	m.clear()

	for _, attached := range []int{1, 10, 100} {
		held := released(gate, f, m, attached)
		lineWithin(fmt.Sprintf("NetworkReleased, %d attached", attached), &held, 20*time.Microsecond)
	}
	return m.ours.Close()
}

// measureEvent takes the cost of a MarkRunning without subscribers off that with three.
func measureEvent(ctx context.Context, gate *nsgate.Gate, with *maps) {
	bare := &maps{ours: must(nsgate.NewMap[*host](gate))}
	var three, none samples
	round := func(m *maps) func(*samples) {
		return each(lives, func(i int) func() {
			life := m.register(i)
			return func() { must(life.MarkRunning(ctx)) }
		}, m.clear)
	}
	withSubscribers, without := round(with), round(bare)
	for range 301 {
		withSubscribers(&three)
		without(&none)
	}
	// A difference of p99s would mean nothing.
	cost := samples{averages: []float64{quantile(three.averages, 0.5) - quantile(none.averages, 0.5)}}
	lineWithin("event to 3 empty subscribers", &cost, time.Microsecond)
	check(bare.ours.Close())
}

func released(gate *nsgate.Gate, f *volumeFixture, m *maps, attached int) (held samples) {
	ctx := context.Background()
	for i := range 101 {
		life := m.register(i)
		must(life.MarkRunning(ctx))
		for range attached {
			check(life.Attach(must(gate.OpenChroot(f.volume(), nil))))
		}
		started := time.Now()
		must(life.NetworkReleased(ctx))
		held.both(time.Since(started))
		must(life.MarkStopped(ctx))
		check(gate.Fence(ctx))
	}
	m.ourLives = nil
	return held
}

// measureBusy measures NetworkReleased while sixteen goroutines spin on all processors.
func measureBusy(gate *nsgate.Gate, _ *volumeFixture) error {
	ctx := context.Background()
	m, err := newMaps(gate)
	if err != nil {
		return err
	}
	var stop atomic.Bool
	for range 16 {
		go func() {
			for n := 0; !stop.Load(); n++ {
				if n%1024 == 0 {
					runtime.KeepAlive(n)
				}
			}
		}()
	}
	defer stop.Store(true)
	var ours, pure samples
	for round := range 20 {
		for i := range 50 {
			life, pureLife := m.register(i), m.registerPure(i)
			must(life.MarkRunning(ctx))
			must(pureLife.MarkRunning(ctx))
			time := func(s *samples, call func(context.Context) (bool, error)) {
				started := time.Now()
				must(call(ctx))
				s.both(time.Since(started))
			}
			// In turns: whoever comes second meets the end of a time slice more often.
			if (round+i)%2 == 0 {
				time(&ours, life.NetworkReleased)
				time(&pure, pureLife.NetworkReleased)
			} else {
				time(&pure, pureLife.NetworkReleased)
				time(&ours, life.NetworkReleased)
			}
			must(life.MarkStopped(ctx))
			must(pureLife.MarkStopped(ctx))
		}
		m.ourLives, m.pureLives = nil, nil
	}
	line("NetworkReleased beside 16 spinning goroutines", &ours, "pure Go map", &pure, show)
	return m.ours.Close()
}
