// Package puremap is a sandbox map as an orchestrator writes it in Go: the map that nsgate's is
// measured against. It has the same indexes and the same events, and releases nothing.
package puremap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
)

// The answers to what can't be done.
var (
	ErrExists  = errors.New("puremap: exists already")
	ErrInvalid = errors.New("puremap: not in this state")
)

// Subscriber is told of every sandbox that starts to run, and of every network that is released.
type Subscriber[T any] interface {
	OnInsert(ctx context.Context, sandbox T) error
	OnNetworkRelease(ctx context.Context, sandbox T) error
}

// Map is a registry of sandboxes.
type Map[T any] struct {
	mu          sync.RWMutex
	live        map[string]*Sandbox[T]
	lifecycles  map[string]*Sandbox[T]
	network     map[netip.Addr]*Sandbox[T]
	subscribers []Subscriber[T]
}

// Sandbox is one life.
type Sandbox[T any] struct {
	owner         *Map[T]
	id, lifecycle string
	value         T

	mu       sync.Mutex
	running  bool
	stopped  bool
	address  netip.Addr
	released bool
}

// New returns an empty map.
func New[T any]() *Map[T] {
	return &Map[T]{
		live:       map[string]*Sandbox[T]{},
		lifecycles: map[string]*Sandbox[T]{},
		network:    map[netip.Addr]*Sandbox[T]{},
	}
}

// Subscribe adds a subscriber, for good.
func (m *Map[T]) Subscribe(s Subscriber[T]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Copied, so that callbacks run without the lock.
	m.subscribers = append(slices.Clip(m.subscribers), s)
}

// Register adds a life.
func (m *Map[T]) Register(id, lifecycle string, value T) (*Sandbox[T], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.lifecycles[lifecycle]; ok {
		return nil, fmt.Errorf("%w: lifecycle %s", ErrExists, lifecycle)
	}
	s := &Sandbox[T]{owner: m, id: id, lifecycle: lifecycle, value: value}
	m.lifecycles[lifecycle] = s
	return s, nil
}

// FindByAddress returns who owns an address.
func (m *Map[T]) FindByAddress(address netip.Addr) (value T, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s, ok := m.network[address]
	if ok {
		value = s.value
	}
	return value, ok
}

// AssignNetwork gives the life an address.
func (s *Sandbox[T]) AssignNetwork(address netip.Addr) error {
	s.owner.mu.Lock()
	defer s.owner.mu.Unlock()
	if _, ok := s.owner.network[address]; ok {
		return fmt.Errorf("%w: address %s", ErrExists, address)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address = address
	s.owner.network[address] = s
	return nil
}

// MarkRunning makes the life the running one of its sandbox, and tells the subscribers.
func (s *Sandbox[T]) MarkRunning(ctx context.Context) (bool, error) {
	m := s.owner
	m.mu.Lock()
	s.mu.Lock()
	changed, invalid := !s.running, s.stopped
	if changed && !invalid {
		s.running = true
		m.live[s.id] = s
	}
	subscribers := m.subscribers
	s.mu.Unlock()
	m.mu.Unlock()
	if invalid {
		return false, ErrInvalid
	}
	if !changed {
		return false, nil
	}
	for _, subscriber := range subscribers {
		if err := subscriber.OnInsert(ctx, s.value); err != nil {
			return true, err
		}
	}
	return true, nil
}

// NetworkReleased frees the address, and tells the subscribers.
func (s *Sandbox[T]) NetworkReleased(ctx context.Context) (bool, error) {
	m := s.owner
	m.mu.Lock()
	s.mu.Lock()
	changed := !s.released
	if changed {
		s.released = true
		if m.network[s.address] == s {
			delete(m.network, s.address)
		}
	}
	subscribers := m.subscribers
	s.leave()
	s.mu.Unlock()
	m.mu.Unlock()
	if !changed {
		return false, nil
	}
	for _, subscriber := range subscribers {
		if err := subscriber.OnNetworkRelease(ctx, s.value); err != nil {
			return true, err
		}
	}
	return true, nil
}

// MarkStopped ends the life.
func (s *Sandbox[T]) MarkStopped(context.Context) (bool, error) {
	m := s.owner
	m.mu.Lock()
	defer m.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false, nil
	}
	s.stopped = true
	if m.live[s.id] == s {
		delete(m.live, s.id)
	}
	s.leave()
	return true, nil
}

// leave takes a life that is stopped and without network out of the map; both locks are held.
func (s *Sandbox[T]) leave() {
	if s.stopped && (s.released || !s.address.IsValid()) {
		delete(s.owner.lifecycles, s.lifecycle)
	}
}
