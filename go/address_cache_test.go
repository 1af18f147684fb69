//go:build linux && cgo

package nsgate_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// owner returns the name of the life that has an address, "" if none has.
func owner(m *nsgate.Map[*box], address netip.Addr) string {
	b, ok := m.GetByAddress(address)
	if !ok {
		return ""
	}
	return b.name
}

func TestALookUpByAddressIsNeverOutdated(t *testing.T) {
	gate := openGate(t)
	m := openMap(t, gate)
	ctx := context.Background()
	var inside string
	get[*nsgate.Subscription](t)(m.Subscribe("looks", nsgate.Callbacks[*box]{
		NetworkRelease: func(context.Context, *box) { inside = owner(m, one) },
	}))
	releases := map[string]func(*nsgate.Sandbox[*box]) (bool, error){
		"by handle":  func(s *nsgate.Sandbox[*box]) (bool, error) { return s.NetworkReleased(ctx) },
		"by address": func(s *nsgate.Sandbox[*box]) (bool, error) { return m.NetworkReleased(ctx, one, s.LifecycleID()) },
		"by others":  func(s *nsgate.Sandbox[*box]) (bool, error) { return m.NetworkReleasedByOthers(one, s.LifecycleID()) },
	}
	for name, release := range releases {
		s := register(t, m, "sandbox", name)
		equal(t, owner(m, one), "")
		changes(t)(s.AssignNetwork(one))
		for range 3 {
			equal(t, owner(m, one), name)
			equal(t, owner(m, netip.AddrFrom16(one.As16())), name)
		}
		other := register(t, m, "sandbox", name+", another")
		changes(t)(other.AssignNetwork(two))
		equal(t, owner(m, two), name+", another")
		equal(t, owner(m, one), name)
		inside = "not called"
		changes(t)(release(s))
		equal(t, inside, "")
		equal(t, owner(m, one), "")
		equal(t, owner(m, two), name+", another")
		changes(t)(other.NetworkReleased(ctx))
		equal(t, owner(m, two), "")
	}
	changes(t)(register(t, m, "sandbox", "last").AssignNetwork(one))
	equal(t, owner(m, one), "last")
	second := openMap(t, gate)
	equal(t, owner(second, one), "")
	must(t, m.Close())
	equal(t, owner(m, one), "")
}

func TestLookUpsByAddressWhileItChangesHands(t *testing.T) {
	m := openMap(t, openGate(t))
	ctx := context.Background()
	var over atomic.Bool
	var lookers group
	for range 3 {
		lookers.Go(func() {
			for !over.Load() {
				owner(m, one)
			}
		})
	}
	// As many as fit in a time, but some: each costs what its calls cost in this build.
	until := time.Now().Add(3 * time.Second)
	for i := 0; i < 20 || i < 500 && time.Now().Before(until); i++ {
		name := fmt.Sprint(i)
		s := register(t, m, "sandbox", name)
		changes(t)(s.AssignNetwork(one))
		equal(t, owner(m, one), name)
		changes(t)(s.NetworkReleased(ctx))
		equal(t, owner(m, one), "")
		changes(t)(s.MarkStopped(ctx))
	}
	over.Store(true)
	lookers.Wait()
}

func TestALookUpByAddressKeepsNobody(t *testing.T) {
	m := get[*nsgate.Map[*holder]](t)(nsgate.NewMap[*holder](openGate(t)))
	ctx := context.Background()
	var collected atomic.Int32
	address := one
	held(t, m, &collected, func(s *nsgate.Sandbox[*holder]) {
		address = address.Next()
		changes(t)(s.AssignNetwork(address))
		changes(t)(s.MarkStopped(ctx))
		_, found := m.GetByAddress(address)
		equal(t, found, true)
	})
	for address := one.Next(); ; address = address.Next() {
		h, found := m.GetByAddress(address)
		if !found {
			break
		}
		changes(t)(h.sandbox.NetworkReleased(ctx))
	}
	allCollected(t, &collected)
	must(t, m.Close())
}
