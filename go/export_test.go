package nsgate

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Waits tells for how many tickets somebody waits.
func (g *Gate) Waits() int {
	g.events.mu.Lock()
	defer g.events.mu.Unlock()
	return len(g.events.waiters)
}

// HoldEvents keeps the gate's events from being read until they are let go.
func (g *Gate) HoldEvents() (letGo func()) {
	g.events.reading <- struct{}{}
	return func() { <-g.events.reading }
}

// RegisterHalfway leaves a life as it is for a moment in [Map.Register]: the library has it, and the
// caller not yet its handle.
func (m *Map[T]) RegisterHalfway(sandboxID, lifecycleID string, value T) (complete func() *Sandbox[T], err error) {
	l := &life[T]{sandboxID: sandboxID, lifecycleID: lifecycleID, value: value}
	var handle uint64
	var e capi.Error
	if capi.MapRegister(m.handle.id, sandboxID, lifecycleID, l, &handle, &e) != capi.StatusOK {
		return nil, newError(&e)
	}
	return func() *Sandbox[T] {
		l.handle.Store(handle)
		return newSandbox(m, l, handle)
	}, nil
}

// UnderWay tells how many file operations are under way.
func (g *Gate) UnderWay() int64 { return g.operations.taken.Load() }

// Say logs as the gate does.
func (g *Gate) Say(message string, args ...any) { g.log.say(slog.LevelWarn, message, args...) }

// NetworkReleasedByOthers releases a network behind the map's back, as code in C could.
func (m *Map[T]) NetworkReleasedByOthers(address netip.Addr, lifecycleID string) (bool, error) {
	a, err := newAddress(address)
	if err != nil {
		return false, err
	}
	c, key := beginChange(context.Background())
	answer := answers.Get().(*capi.Answer)
	return c.end(key, capi.MapNetworkReleased(m.handle.id, a, lifecycleID, key, answer), answer)
}
