//go:build linux && cgo

package chrooted_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	nsgate "github.com/nsgate/nsgate/go"
)

// What docs/migrating.md shows of the map, word for word.

// Map is the sandbox map as the program knows it, over nsgate's.
type Map struct{ *nsgate.Map[*Sandbox] }

// life registers a sandbox the first time that the program speaks of it.
func (m Map) life(s *Sandbox) (*nsgate.Sandbox[*Sandbox], error) {
	life, err := m.Register(s.ID, s.LifecycleID, s)
	if errors.Is(err, nsgate.ErrAlreadyExists) {
		if known, ok := m.Sandbox(s.LifecycleID); ok {
			return known, nil
		}
	}
	return life, err
}

func (m Map) AssignNetwork(ctx context.Context, s *Sandbox) {
	address, err := netip.ParseAddr(s.IP)
	if err == nil {
		var life *nsgate.Sandbox[*Sandbox]
		if life, err = m.life(s); err == nil {
			_, err = life.AssignNetwork(address)
		}
	}
	warn(ctx, "assign network", s.IP, err)
}

func (m Map) MarkRunning(ctx context.Context, s *Sandbox) {
	life, err := m.life(s)
	if err == nil {
		_, err = life.MarkRunning(ctx)
	}
	warn(ctx, "mark running", s.LifecycleID, err)
}

func (m Map) MarkStopping(ctx context.Context, sandboxID, lifecycleID string) bool {
	changed, err := m.Map.MarkStopping(ctx, lifecycleID)
	return err == nil && changed // ErrNotFound: it has left, or was never here
}

func (m Map) MarkStopped(ctx context.Context, s *Sandbox) {
	if _, err := m.Map.MarkStopped(ctx, s.LifecycleID); !errors.Is(err, nsgate.ErrNotFound) {
		warn(ctx, "mark stopped", s.LifecycleID, err)
	}
}

// NetworkReleased is called before the address is given to another sandbox, so its owner is the one meant.
func (m Map) NetworkReleased(ctx context.Context, ip string) {
	address, err := netip.ParseAddr(ip)
	if s, ok := m.GetByAddress(address); ok {
		_, err = m.Map.NetworkReleased(ctx, address, s.LifecycleID)
	}
	warn(ctx, "release network", ip, err)
}

func (m Map) Items() map[string]*Sandbox {
	items := make(map[string]*Sandbox)
	for _, s := range m.Map.Items() {
		items[s.ID] = s
	}
	return items
}

func (m Map) LifecycleItemsByState(states ...nsgate.State) (found []*Sandbox) {
	for life := range m.Sandboxes() {
		if info, err := life.Info(); err == nil && slices.Contains(states, info.State) {
			found = append(found, life.Value())
		}
	}
	return found
}

func (m Map) Subscribe(subscriber nsgate.Subscriber[*Sandbox]) {
	_, err := m.Map.Subscribe("sandboxes", subscriber)
	warn(context.Background(), "subscribe", "", err)
}

func warn(ctx context.Context, what, which string, err error) {
	if err != nil {
		slog.WarnContext(ctx, what, "which", which, "error", err)
	}
}

// ----

// formerMap is what programs call.
type formerMap interface {
	AssignNetwork(ctx context.Context, s *Sandbox)
	MarkRunning(ctx context.Context, s *Sandbox)
	MarkStopping(ctx context.Context, sandboxID, lifecycleID string) bool
	MarkStopped(ctx context.Context, s *Sandbox)
	NetworkReleased(ctx context.Context, ip string)
	Subscribe(subscriber nsgate.Subscriber[*Sandbox])
	Get(sandboxID string) (*Sandbox, bool)
	GetByHostPort(hostPort string) (*Sandbox, error)
	Items() map[string]*Sandbox
	LifecycleItems() []*Sandbox
	LifecycleItemsByState(states ...nsgate.State) []*Sandbox
	Count() int
}

func TestMigratingTheMap(t *testing.T) {
	gate := openGate(t)
	inner := get[*nsgate.Map[*Sandbox]](t)(nsgate.NewMap[*Sandbox](gate))
	var m formerMap = Map{inner}
	ctx := context.Background()
	var told []string
	m.Subscribe(nsgate.Callbacks[*Sandbox]{
		Insert:         func(_ context.Context, s *Sandbox) { told = append(told, "+"+s.LifecycleID) },
		NetworkRelease: func(_ context.Context, s *Sandbox) { told = append(told, "-"+s.LifecycleID) },
	})
	s := &Sandbox{ID: "sandbox", LifecycleID: "first", IP: "10.0.0.3"}
	m.AssignNetwork(ctx, s)
	m.MarkRunning(ctx, s)
	m.MarkRunning(ctx, s)
	found, running := m.Get("sandbox")
	equal(t, running && found == s, true)
	equal(t, get[*Sandbox](t)(m.GetByHostPort("10.0.0.3:2049")), s)
	for id, item := range m.Items() {
		equal(t, id == "sandbox" && item == s, true)
	}
	equal(t, m.Count(), 1)
	equal(t, slices.Equal(m.LifecycleItemsByState(nsgate.StateRunning), []*Sandbox{s}), true)

	equal(t, m.MarkStopping(ctx, "sandbox", "first"), true)
	equal(t, m.MarkStopping(ctx, "sandbox", "first"), false)
	equal(t, len(m.LifecycleItemsByState(nsgate.StateRunning)), 0)
	equal(t, len(m.LifecycleItems()), 1)
	m.MarkStopped(ctx, s)
	m.NetworkReleased(ctx, "10.0.0.3")
	m.NetworkReleased(ctx, "10.0.0.3")
	m.MarkStopped(ctx, s)
	equal(t, m.MarkStopping(ctx, "sandbox", "first"), false)
	equal(t, len(m.LifecycleItems()), 0)

	resumed := &Sandbox{ID: "sandbox", LifecycleID: "second", IP: "10.0.0.3"}
	m.AssignNetwork(ctx, resumed) // the address is free again
	equal(t, get[*Sandbox](t)(m.GetByHostPort("10.0.0.3:2049")), resumed)
	m.NetworkReleased(ctx, "10.0.0.3") // without having run
	equal(t, slices.Equal(told, []string{"+first", "-first", "-second"}), true)
	must(t, inner.Close())
}
