package nsgate

import (
	"fmt"
	"iter"
	"net/netip"
	"runtime"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Get returns the value of the running life of a sandbox.
func (m *Map[T]) Get(sandboxID string) (T, bool) {
	found := capi.MapFind(m.handle.id, sandboxID)
	runtime.KeepAlive(m)
	return valueOf[T](found)
}

// GetByLifecycle returns the value of a life, whatever its state.
func (m *Map[T]) GetByLifecycle(lifecycleID string) (T, bool) {
	found := capi.MapFindByLifecycle(m.handle.id, lifecycleID)
	runtime.KeepAlive(m)
	return valueOf[T](found)
}

// GetByAddress returns the value of the life that has a network address. An IPv4 address mapped to IPv6
// is the IPv4 address; a zone is left out.
func (m *Map[T]) GetByAddress(address netip.Addr) (T, bool) {
	found := m.handle.addresses.find(m.handle.id, address.As16())
	runtime.KeepAlive(m)
	return valueOf[T](found)
}

// GetByHostPort is GetByAddress for the remote address of a connection, such as "10.1.2.3:2049" or
// "[fd00::1]:2049".
//
// ErrInvalidArgument: it is no such address. ErrNotFound: nobody has it.
func (m *Map[T]) GetByHostPort(hostPort string) (T, error) {
	var none T
	parsed, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return none, &Error{Status: StatusInvalidArgument, Message: err.Error()}
	}
	value, ok := m.GetByAddress(parsed.Addr())
	if !ok {
		return none, &Error{Status: StatusNotFound, Message: fmt.Sprintf("no sandbox has the address %s", parsed.Addr())}
	}
	return value, nil
}

func valueOf[T any](found any) (value T, ok bool) {
	l, ok := found.(*life[T])
	if !ok {
		return value, false
	}
	return l.value, true
}

// Sandbox returns a life by its lifecycle id.
func (m *Map[T]) Sandbox(lifecycleID string) (*Sandbox[T], bool) {
	s := retain(m, capi.MapFindByLifecycle(m.handle.id, lifecycleID))
	runtime.KeepAlive(m)
	return s, s != nil
}

// Running returns the running life of a sandbox.
func (m *Map[T]) Running(sandboxID string) (*Sandbox[T], bool) {
	s := retain(m, capi.MapFind(m.handle.id, sandboxID))
	runtime.KeepAlive(m)
	return s, s != nil
}

// Items returns the values of all running lives.
func (m *Map[T]) Items() []T { return m.values(capi.SnapshotRunning) }

// LifecycleItems returns the values of all lives, whatever their state.
func (m *Map[T]) LifecycleItems() []T { return m.values(capi.SnapshotAll) }

func (m *Map[T]) values(which uint32) []T {
	found := m.snapshot(which)
	values := make([]T, 0, len(found))
	for _, f := range found {
		if value, ok := valueOf[T](f); ok {
			values = append(values, value)
		}
	}
	return values
}

// Sandboxes iterates over all lives that are in the map when it begins.
func (m *Map[T]) Sandboxes() iter.Seq[*Sandbox[T]] {
	return func(yield func(*Sandbox[T]) bool) {
		for _, found := range m.snapshot(capi.SnapshotAll) {
			if s := retain(m, found); s != nil && !yield(s) {
				return
			}
		}
	}
}

// snapshot is empty for a closed map.
func (m *Map[T]) snapshot(which uint32) []any {
	var found []any
	var e capi.Error
	capi.MapSnapshot(m.handle.id, which, &found, &e)
	runtime.KeepAlive(m)
	return found
}

// Count returns how many lives are running.
func (m *Map[T]) Count() int {
	running, _ := m.count()
	return running
}

// Lifecycles returns how many lives are in the map.
func (m *Map[T]) Lifecycles() int {
	_, all := m.count()
	return all
}

func (m *Map[T]) count() (running, all int) {
	var e capi.Error
	if capi.MapCount(m.handle.id, &running, &all, &e) != capi.StatusOK {
		running, all = 0, 0
	}
	runtime.KeepAlive(m)
	return running, all
}

// newAddress converts an address.
func newAddress(address netip.Addr) (a capi.Address, err error) {
	address = address.Unmap()
	switch {
	case address.Is4():
		a.Family = 4
		four := address.As4()
		copy(a.Bytes[:], four[:])
	case address.Is6():
		a.Family = 6
		a.Bytes = address.As16()
	default:
		return a, &Error{Status: StatusInvalidArgument, Message: "the address is invalid"}
	}
	return a, nil
}
