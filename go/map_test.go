//go:build linux && cgo

package nsgate_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// box is what a host keeps of a sandbox.
type box struct{ name string }

var one, two, six = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::1")

func openMap(t testing.TB, gate *nsgate.Gate) *nsgate.Map[*box] {
	t.Helper()
	m := get[*nsgate.Map[*box]](t)(nsgate.NewMap[*box](gate))
	held := m
	t.Cleanup(func() {
		held.Close()
		held = nil // package testing keeps this function
	})
	return m
}

func register(t testing.TB, m *nsgate.Map[*box], sandboxID, lifecycleID string) *nsgate.Sandbox[*box] {
	t.Helper()
	return get[*nsgate.Sandbox[*box]](t)(m.Register(sandboxID, lifecycleID, &box{lifecycleID}))
}

// changes checks that a change changed something.
func changes(t testing.TB) func(bool, error) {
	return func(changed bool, err error) {
		t.Helper()
		if !changed || err != nil {
			t.Errorf("got %v, %v", changed, err)
		}
	}
}

// changesNothing checks that a change found nothing to change.
func changesNothing(t testing.TB) func(bool, error) {
	return func(changed bool, err error) {
		t.Helper()
		if changed || err != nil {
			t.Errorf("got %v, %v", changed, err)
		}
	}
}

func TestALifeFromItsRegistrationToItsEnd(t *testing.T) {
	m := openMap(t, openGate(t))
	ctx := context.Background()
	s := register(t, m, "sandbox", "life")
	equal(t, s.ID(), "sandbox")
	equal(t, s.LifecycleID(), "life")
	equal(t, s.Value().name, "life")
	_, found := m.Get("sandbox")
	equal(t, found, false) // not running yet
	equal(t, m.Count(), 0)
	equal(t, m.Lifecycles(), 1)
	equal(t, get[nsgate.SandboxInfo](t)(s.Info()), nsgate.SandboxInfo{SandboxID: "sandbox", LifecycleID: "life", State: nsgate.StateRegistered})

	changes(t)(s.AssignNetwork(one))
	changesNothing(t)(s.AssignNetwork(one))
	changes(t)(s.MarkRunning(ctx))
	changesNothing(t)(s.MarkRunning(ctx))
	value, found := m.Get("sandbox")
	equal(t, found && value == s.Value(), true)
	equal(t, m.Count(), 1)
	equal(t, get[nsgate.SandboxInfo](t)(s.Info()).Address, one)
	equal(t, slices.Equal(m.Items(), []*box{s.Value()}), true)

	changes(t)(m.MarkStopping(ctx, "life"))
	_, found = m.Get("sandbox")
	equal(t, found, false)
	changes(t)(m.MarkStopped(ctx, "life"))
	equal(t, m.Lifecycles(), 1) // it has its network
	changes(t)(m.NetworkReleased(ctx, one, "life"))
	equal(t, m.Lifecycles(), 0)
	changesNothing(t)(s.NetworkReleased(ctx))
	_, err := s.MarkRunning(ctx)
	failsWith(t, err, nsgate.ErrInvalidState)
	info := get[nsgate.SandboxInfo](t)(s.Info()) // still readable
	equal(t, info.State, nsgate.StateStopped)
	equal(t, info.Network, nsgate.NetworkReleased)
	_, err = m.MarkRunning(ctx, "life")
	failsWith(t, err, nsgate.ErrNotFound)
	must(t, m.WaitLifecycles(limited(t)))
}

func TestLookUpsByAddress(t *testing.T) {
	m := openMap(t, openGate(t))
	v4, v6 := register(t, m, "four", "four"), register(t, m, "six", "six")
	changes(t)(v4.AssignNetwork(netip.AddrFrom16(one.As16()))) // mapped
	changes(t)(m.AssignNetwork("six", six))
	for hostPort, want := range map[string]*box{
		"10.0.0.1:2049": v4.Value(), "[::ffff:10.0.0.1]:1": v4.Value(), "[fd00::1]:2049": v6.Value(), "[fd00::1%eth0]:2049": v6.Value(),
	} {
		if got, err := m.GetByHostPort(hostPort); err != nil || got != want {
			t.Errorf("%s: %v, %v", hostPort, got, err)
		}
	}
	_, err := m.GetByHostPort("10.0.0.2:2049")
	failsWith(t, err, nsgate.ErrNotFound)
	for _, wrong := range []string{"", "10.0.0.1", "host:1", "10.0.0.1:port"} {
		_, err = m.GetByHostPort(wrong)
		failsWith(t, err, nsgate.ErrInvalidArgument)
	}
	_, found := m.GetByAddress(netip.Addr{})
	equal(t, found, false)
	_, err = v4.AssignNetwork(netip.Addr{})
	failsWith(t, err, nsgate.ErrInvalidArgument)
	_, err = m.AssignNetwork("none", two)
	failsWith(t, err, nsgate.ErrNotFound)
}

func TestAReusedAddressIsSafeFromItsFormerOwner(t *testing.T) {
	m := openMap(t, openGate(t))
	ctx := context.Background()
	old, young := register(t, m, "s", "old"), register(t, m, "s", "young")
	changes(t)(old.AssignNetwork(one))
	_, err := young.AssignNetwork(one)
	failsWith(t, err, nsgate.ErrAlreadyExists)
	changes(t)(old.NetworkReleased(ctx))
	changes(t)(young.AssignNetwork(one))
	_, err = m.NetworkReleased(ctx, one, "old")
	failsWith(t, err, nsgate.ErrWrongLifecycle)
	value, found := m.GetByAddress(one)
	equal(t, found && value == young.Value(), true)
}

func TestTheYoungerLifeOfASandboxIsTheOneThatRuns(t *testing.T) {
	m := openMap(t, openGate(t))
	ctx := context.Background()
	old, young := register(t, m, "s", "old"), register(t, m, "s", "young")
	_, err := m.Register("s", "old", &box{})
	failsWith(t, err, nsgate.ErrAlreadyExists)
	changes(t)(old.MarkRunning(ctx))
	changes(t)(young.MarkRunning(ctx))
	changes(t)(old.MarkStopped(ctx))
	running, found := m.Running("s")
	equal(t, found && running.LifecycleID() == "young", true)
	value, found := m.GetByLifecycle("young")
	equal(t, found && value == young.Value(), true)
	_, found = m.GetByLifecycle("old")
	equal(t, found, false)
}

func TestAllLivesCanBeListed(t *testing.T) {
	m := openMap(t, openGate(t))
	var want []string
	for i := range 200 {
		s := register(t, m, fmt.Sprint("s", i), fmt.Sprint("l", i))
		want = append(want, s.LifecycleID())
		if i%2 == 0 {
			changes(t)(s.MarkRunning(context.Background()))
		}
	}
	slices.Sort(want)
	var got []string
	for s := range m.Sandboxes() {
		got = append(got, s.LifecycleID())
	}
	slices.Sort(got)
	equal(t, slices.Equal(got, want), true)
	equal(t, len(m.LifecycleItems()), 200)
	equal(t, len(m.Items()), 100)
	equal(t, m.Count(), 100)
	for range m.Sandboxes() {
		break
	}
}

func TestIdsHaveBounds(t *testing.T) {
	m := openMap(t, openGate(t))
	for _, id := range []string{"", strings.Repeat("x", 256), "a\x00b", "\xff"} {
		_, err := m.Register(id, "life", nil)
		failsWith(t, err, nsgate.ErrInvalidArgument)
		_, err = m.Register("sandbox", id, nil)
		failsWith(t, err, nsgate.ErrInvalidArgument)
		_, found := m.Get(id)
		equal(t, found, false)
	}
	equal(t, m.Lifecycles(), 0)
}

func TestWhatIsAttachedIsReleasedWithTheNetwork(t *testing.T) {
	gate := openGate(t)
	m := openMap(t, gate)
	ctx := context.Background()
	s := register(t, m, "s", "l")
	chroot, volume := openChroot(t, gate, nil)
	kept, _ := openChroot(t, gate, nil)
	must(t, s.Attach(chroot))
	failsWith(t, s.Attach(chroot), nsgate.ErrAlreadyExists)
	must(t, s.Attach(kept))
	changes(t)(s.Detach(kept))
	changesNothing(t)(s.Detach(kept))
	ran := make(chan struct{})
	job := get[*nsgate.Job](t)(gate.Reserve("job", func(context.Context) error { close(ran); return nil }))
	must(t, s.AttachJob(job))
	equal(t, get[nsgate.SandboxInfo](t)(s.Info()).Attached, 2)

	changes(t)(s.NetworkReleased(ctx))
	equal(t, chroot.IsClosed(), true)
	equal(t, kept.IsClosed(), false)
	<-ran
	late := get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil))
	failsWith(t, s.Attach(late), nsgate.ErrClosed)
	must(t, late.Close()) // still the caller's
	must(t, kept.Close())
	must(t, gate.Fence(limited(t)))
	equal(t, get[nsgate.Stats](t)(gate.Stats()).Released, 4)
}

func TestWaitLifecyclesWaitsForTheLastLife(t *testing.T) {
	m := openMap(t, openGate(t))
	ctx := context.Background()
	must(t, m.WaitLifecycles(ctx))
	s := register(t, m, "s", "l")
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	failsWith(t, m.WaitLifecycles(short), context.DeadlineExceeded)
	waited := make(chan error)
	go func() { waited <- m.WaitLifecycles(limited(t)) }()
	changes(t)(s.MarkStopped(ctx))
	must(t, <-waited)

	register(t, m, "s", "l2")
	go func() { waited <- m.WaitLifecycles(limited(t)) }()
	time.Sleep(time.Millisecond)
	must(t, m.Close())
	failsWith(t, <-waited, nsgate.ErrClosed)
	failsWith(t, m.Close(), nsgate.ErrClosed)
	_, err := m.Register("s", "l3", nil)
	failsWith(t, err, nsgate.ErrClosed)
}

// TestALifeIsFoundAsSoonAsItIsRegistered: who is told that it exists already can go on with it.
func TestALifeIsFoundAsSoonAsItIsRegistered(t *testing.T) {
	gate := openGate(t)
	m := get[*nsgate.Map[string]](t)(nsgate.NewMap[string](gate))
	defer m.Close()
	complete, err := m.RegisterHalfway("sandbox", "life", "value")
	must(t, err)
	failsWith(t, second(m.Register("sandbox", "life", "another")), nsgate.ErrAlreadyExists)
	address := netip.MustParseAddr("10.0.0.1")
	changed, err := m.AssignNetwork("life", address)
	must(t, err)
	equal(t, changed, true)
	found, ok := m.Sandbox("life")
	equal(t, ok, true)
	equal(t, found.Value(), "value")
	equal(t, get[nsgate.SandboxInfo](t)(found.Info()).Address, address)
	all := slices.Collect(m.Sandboxes())
	equal(t, len(all), 1)
	must(t, second(found.MarkRunning(limited(t))))
	running, ok := m.Running("sandbox")
	equal(t, ok, true)
	equal(t, running.LifecycleID(), "life")
	s := complete()
	equal(t, second(s.MarkStopped(limited(t))), nil)
	must(t, second(s.NetworkReleased(limited(t))))
	_, ok = m.Sandbox("life")
	equal(t, ok, false)
}
