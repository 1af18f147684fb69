package nsgate

import (
	"context"
	"net/netip"
	"runtime"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Sandbox is one life of a sandbox in a [Map]. It stays readable after it has left the map.
//
// It is the garbage collector's: there is nothing to close, and the life doesn't end with it. The value of
// the life may hold it. The map lets go of the value when the life has left it, its subscribers are told,
// and what was attached is gone; from then on only your own references keep the two.
type Sandbox[T any] struct {
	*life[T]
	m *Map[T]
}

// State tells how far a life is.
type State uint32

// The states.
const (
	StateRegistered State = 1
	StateRunning    State = 2
	StateStopping   State = 3
	StateStopped    State = 4
)

// String returns the state in a word.
func (s State) String() string {
	return word(uint32(s), "state", "", "registered", "running", "stopping", "stopped")
}

// NetworkState tells what became of a life's network.
type NetworkState uint32

// The states of a network.
const (
	NetworkNone     NetworkState = 0
	NetworkAssigned NetworkState = 1
	NetworkReleased NetworkState = 2
)

// String returns the state in a word.
func (s NetworkState) String() string {
	return word(uint32(s), "network", "none", "assigned", "released")
}

// SandboxInfo is what the map knows of a life.
type SandboxInfo struct {
	SandboxID   string
	LifecycleID string
	State       State
	Network     NetworkState
	Address     netip.Addr // the zero Addr if there is none
	Attached    int        // chroots and jobs that are attached
}

func newSandbox[T any](m *Map[T], l *life[T], handle uint64) *Sandbox[T] {
	s := &Sandbox[T]{life: l, m: m}
	runtime.AddCleanup(s, freeSandbox, handle)
	return s
}

// freeSandbox gives the reference of a Sandbox back.
func freeSandbox(handle uint64) {
	var e capi.Error
	capi.SandboxFree(handle, &e)
}

// retain makes a Sandbox of what a look-up found, nil if that is nothing or has gone since.
func retain[T any](m *Map[T], found any) *Sandbox[T] {
	l, ok := found.(*life[T])
	if !ok {
		return nil
	}
	handle := l.handle.Load()
	if handle == 0 {
		return retainEarly(m, l)
	}
	var e capi.Error
	if capi.SandboxRetain(handle, &e) != capi.StatusOK {
		return nil
	}
	return newSandbox(m, l, handle)
}

// retainEarly is for a life that another goroutine is just registering, which has no handle of it yet.
func retainEarly[T any](m *Map[T], l *life[T]) *Sandbox[T] {
	var handle uint64
	found := capi.MapRetain(m.handle.id, l.lifecycleID, &handle)
	if found == nil {
		return nil
	}
	if found != any(l) { // it has gone, and there is another
		freeSandbox(handle)
		return nil
	}
	l.handle.Store(handle)
	return newSandbox(m, l, handle)
}

// ID returns the sandbox id.
func (s *Sandbox[T]) ID() string { return s.sandboxID }

// LifecycleID returns the lifecycle id.
func (s *Sandbox[T]) LifecycleID() string { return s.lifecycleID }

// Value returns the host's value.
func (s *Sandbox[T]) Value() T { return s.value }

// Info tells what the map knows.
func (s *Sandbox[T]) Info() (SandboxInfo, error) {
	var d capi.SandboxDetails
	var e capi.Error
	status := capi.SandboxInfo(s.handle.Load(), &d, &e)
	runtime.KeepAlive(s)
	if status != capi.StatusOK {
		return SandboxInfo{}, newError(&e)
	}
	info := SandboxInfo{
		SandboxID:   s.sandboxID,
		LifecycleID: s.lifecycleID,
		State:       State(d.State),
		Network:     NetworkState(d.Network),
		Attached:    int(d.Attached),
	}
	switch d.Address.Family {
	case 4:
		info.Address = netip.AddrFrom4([4]byte(d.Address.Bytes[:4]))
	case 6:
		info.Address = netip.AddrFrom16(d.Address.Bytes)
	}
	return info, nil
}

// AssignNetwork gives the life its network address and returns whether that changed anything.
//
// ErrAlreadyExists: another life has the address. ErrInvalidState: the network was released, or has
// another address.
func (s *Sandbox[T]) AssignNetwork(address netip.Addr) (changed bool, err error) {
	a, err := newAddress(address)
	if err != nil {
		return false, err
	}
	var e capi.Error
	status := capi.SandboxAssignNetwork(s.handle.Load(), a, &changed, &e)
	runtime.KeepAlive(s)
	if status != capi.StatusOK {
		return false, newError(&e)
	}
	return changed, nil
}

// MarkRunning makes the life the one that is found by its sandbox id, calls OnInsert of the subscribers
// and returns whether that changed anything. The error, beside it, is a subscriber's panic.
//
// ErrInvalidState: it is stopping or stopped.
func (s *Sandbox[T]) MarkRunning(ctx context.Context) (changed bool, err error) {
	return s.change(ctx, capi.ChangeRunning)
}

// MarkStopping is the first half of MarkStopped: the life is no longer found by its sandbox id.
func (s *Sandbox[T]) MarkStopping(ctx context.Context) (changed bool, err error) {
	return s.change(ctx, capi.ChangeStopping)
}

// MarkStopped ends the life. It leaves the map if it has no network or that was released.
func (s *Sandbox[T]) MarkStopped(ctx context.Context) (changed bool, err error) {
	return s.change(ctx, capi.ChangeStopped)
}

// NetworkReleased hands over for release what is attached, calls OnNetworkRelease of the subscribers and
// returns whether that changed anything. From then on nothing can be attached. The error, beside it, is
// a subscriber's panic.
func (s *Sandbox[T]) NetworkReleased(ctx context.Context) (changed bool, err error) {
	return s.change(ctx, capi.ChangeNetworkReleased)
}

func (s *Sandbox[T]) change(ctx context.Context, kind capi.Change) (bool, error) {
	c, key := beginChange(ctx)
	answer := answers.Get().(*capi.Answer)
	status := capi.SandboxChange(kind, s.handle.Load(), key, answer)
	if kind == capi.ChangeNetworkReleased {
		s.m.handle.addresses.forget()
	}
	s.m.handle.notify()
	runtime.KeepAlive(s)
	return c.end(key, status, answer)
}

// Attach makes the chroot the life's: it is released with the life's network.
//
// ErrClosed: the network was released already, or the chroot was closed; the chroot stays the caller's.
func (s *Sandbox[T]) Attach(c *Chroot) error {
	var e capi.Error
	status := capi.SandboxAttach(s.handle.Load(), c.id, &e)
	if status == capi.StatusOK {
		c.attached.Store(true)
	}
	runtime.KeepAlive(s)
	runtime.KeepAlive(c)
	if status != capi.StatusOK {
		return newError(&e)
	}
	return nil
}

// AttachJob makes the job the life's: it is submitted with the release of the life's network.
//
// ErrClosed: the network was released already; the job stays the caller's.
func (s *Sandbox[T]) AttachJob(j *Job) error {
	var e capi.Error
	status := capi.SandboxAttachJob(s.handle.Load(), j.id, &e)
	runtime.KeepAlive(s)
	runtime.KeepAlive(j)
	if status != capi.StatusOK {
		return newError(&e)
	}
	return nil
}

// Detach gives an attached chroot back to the caller and returns whether it was attached.
func (s *Sandbox[T]) Detach(c *Chroot) (changed bool, err error) {
	var e capi.Error
	status := capi.SandboxDetach(s.handle.Load(), c.id, &changed, &e)
	if status == capi.StatusOK && changed {
		c.attached.Store(false)
	}
	runtime.KeepAlive(s)
	runtime.KeepAlive(c)
	if status != capi.StatusOK {
		return false, newError(&e)
	}
	return changed, nil
}
