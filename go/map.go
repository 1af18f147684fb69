package nsgate

import (
	"context"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Map is the registry of sandboxes: by sandbox id, by lifecycle id and by network address. A sandbox may
// live several times, from checkpoint to resume; a lifecycle id is one life. Each life has a value of
// the host's type T, which the subscribers are called with.
//
// A life is registered, then running, stopping and stopped; its network is none, assigned and released,
// independent of that. It leaves the map when it is stopped, its network is released or was never
// assigned, and its subscribers are told. What is attached to it is released with its network.
//
// All methods may be called from any goroutine, and from inside subscribers but for what says otherwise.
type Map[T any] struct {
	gate   *gate
	handle *mapHandle
}

type mapHandle struct {
	*openMap
	addresses addressCache

	waiting atomic.Int32 // who waits for a change
	mu      sync.Mutex
	changed chan struct{} // closed at the next change; nil if nobody waits
}

// life is the host's value of one life, with the names it has.
type life[T any] struct {
	sandboxID, lifecycleID string
	value                  T
	// handle is the library's, 0 until the life is registered.
	handle atomic.Uint64
}

// NewMap makes a map. It must be closed, and is when its gate has closed. One that was forgotten is closed
// when the garbage collector finds it; a subscriber, or the value of a life in it, that holds the map or a
// [Sandbox] of it keeps it from being forgotten.
func NewMap[T any](g *Gate) (*Map[T], error) {
	if g.closing.Load() {
		return nil, ErrClosed
	}
	opened, err := g.maps.create(g.id)
	if err != nil {
		return nil, err
	}
	handle := &mapHandle{openMap: opened}
	runtime.AddCleanup(handle, func(o *openMap) { _ = o.close() }, opened)
	return &Map[T]{gate: g.gate, handle: handle}, nil
}

// Close ends the map and its subscribers. Lives in it can't be changed any more; what is attached to
// them is released. A second Close answers ErrClosed, and so does one after the gate's.
func (m *Map[T]) Close() error {
	err := m.handle.close()
	m.handle.addresses.forget()
	runtime.KeepAlive(m) // otherwise its cleanup may come first
	return err
}

// Register adds a life of a sandbox. The ids are not empty and have at most 255 bytes.
//
// ErrAlreadyExists: there is a life with that lifecycle id.
func (m *Map[T]) Register(sandboxID, lifecycleID string, value T) (*Sandbox[T], error) {
	l := &life[T]{sandboxID: sandboxID, lifecycleID: lifecycleID, value: value}
	var handle uint64
	var e capi.Error
	status := capi.MapRegister(m.handle.id, sandboxID, lifecycleID, l, &handle, &e)
	runtime.KeepAlive(m)
	if status != capi.StatusOK {
		return nil, newError(&e)
	}
	l.handle.Store(handle)
	return newSandbox(m, l, handle), nil
}

// AssignNetwork is [Sandbox.AssignNetwork] by the lifecycle id. ErrNotFound: there is no such life.
func (m *Map[T]) AssignNetwork(lifecycleID string, address netip.Addr) (bool, error) {
	a, err := newAddress(address)
	if err != nil {
		return false, err
	}
	var changed bool
	var e capi.Error
	status := capi.MapAssignNetwork(m.handle.id, lifecycleID, a, &changed, &e)
	runtime.KeepAlive(m)
	if status != capi.StatusOK {
		return false, newError(&e)
	}
	return changed, nil
}

// MarkRunning is [Sandbox.MarkRunning] by the lifecycle id. ErrNotFound: there is no such life.
func (m *Map[T]) MarkRunning(ctx context.Context, lifecycleID string) (bool, error) {
	return m.change(ctx, lifecycleID, capi.ChangeRunning)
}

// MarkStopping is [Sandbox.MarkStopping] by the lifecycle id. ErrNotFound: there is no such life.
func (m *Map[T]) MarkStopping(ctx context.Context, lifecycleID string) (bool, error) {
	return m.change(ctx, lifecycleID, capi.ChangeStopping)
}

// MarkStopped is [Sandbox.MarkStopped] by the lifecycle id. ErrNotFound: there is no such life.
func (m *Map[T]) MarkStopped(ctx context.Context, lifecycleID string) (bool, error) {
	return m.change(ctx, lifecycleID, capi.ChangeStopped)
}

func (m *Map[T]) change(ctx context.Context, lifecycleID string, kind capi.Change) (bool, error) {
	c, key := beginChange(ctx)
	answer := answers.Get().(*capi.Answer)
	status := capi.MapChange(kind, m.handle.id, lifecycleID, key, answer)
	m.handle.notify()
	runtime.KeepAlive(m)
	return c.end(key, status, answer)
}

// NetworkReleased is [Sandbox.NetworkReleased] for the life that has the address. The lifecycle id keeps
// it from releasing the network of a life that got the address since.
//
// ErrNotFound: there is no such life. ErrWrongLifecycle: another life has the address, or this one never
// had it. That its network was released before is no error, and no change.
func (m *Map[T]) NetworkReleased(ctx context.Context, address netip.Addr, lifecycleID string) (bool, error) {
	a, err := newAddress(address)
	if err != nil {
		return false, err
	}
	c, key := beginChange(ctx)
	answer := answers.Get().(*capi.Answer)
	status := capi.MapNetworkReleased(m.handle.id, a, lifecycleID, key, answer)
	m.handle.addresses.forget()
	m.handle.notify()
	runtime.KeepAlive(m)
	return c.end(key, status, answer)
}

// WaitLifecycles waits until no life is in the map, or ctx is done. It holds no thread.
//
// ErrWouldDeadlock: it is called from inside a subscriber, whose own sandbox can't leave meanwhile.
func (m *Map[T]) WaitLifecycles(ctx context.Context) error {
	if capi.WhereAmI(0)&capi.InCallback != 0 {
		return ErrWouldDeadlock
	}
	h := m.handle
	h.waiting.Add(1)
	defer h.waiting.Add(-1)
	for {
		changed := h.next()
		var running, all int
		var e capi.Error
		if capi.MapCount(h.id, &running, &all, &e) != capi.StatusOK {
			return newError(&e)
		}
		if all == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-h.done:
			return ErrClosed
		case <-m.gate.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next returns a channel that is closed at the next change.
func (h *mapHandle) next() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.changed
}

// notify tells those who wait that there was a change.
func (h *mapHandle) notify() {
	if h.waiting.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}
