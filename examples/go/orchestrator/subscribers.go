package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// limiter is a subscriber that keeps count of what runs, and refuses more than its limit.
type limiter struct {
	limit int64
	taken atomic.Int64
}

// admit is asked before a sandbox is registered.
func (l *limiter) admit() error {
	if taken := l.taken.Load(); taken >= l.limit {
		return fmt.Errorf("%d sandboxes run already", taken)
	}
	return nil
}

func (l *limiter) OnInsert(context.Context, *sandbox)         { l.taken.Add(1) }
func (l *limiter) OnNetworkRelease(context.Context, *sandbox) { l.taken.Add(-1) }

// metrics is a subscriber that counts, and that also wants to know when everything is gone.
type metrics struct {
	inserted, released atomic.Int64
	gone               atomic.Int64
}

func (m *metrics) OnInsert(context.Context, *sandbox)         { m.inserted.Add(1) }
func (m *metrics) OnNetworkRelease(context.Context, *sandbox) { m.released.Add(1) }

func (m *metrics) OnRelease(_ context.Context, s *sandbox, event nsgate.Event) {
	s.run.gone(time.Now(), event)
	m.gone.Add(1)
}

// volumeHandler is a subscriber that opens volumes for whoever connects from a sandbox's address, as an
// NFS server does, and forgets them when the network is released. It never closes one in the callback:
// what it attached to the sandbox is released by then.
type volumeHandler struct {
	sandboxes *nsgate.Map[*sandbox]
	gate      *nsgate.Gate
	store     *store

	mu     sync.Mutex
	mounts map[string]map[int]*nsgate.Chroot // by lifecycle id
}

var errTooLate = errors.New("the sandbox's network was released")

// mount opens a volume for the sandbox that has an address.
func (h *volumeHandler) mount(address netip.Addr, volume int) (*nsgate.Chroot, error) {
	sandbox, ok := h.sandboxes.GetByAddress(address)
	if !ok {
		return nil, fmt.Errorf("nobody has the address %s", address)
	}
	life, ok := h.sandboxes.Sandbox(sandbox.lifecycleID)
	if !ok {
		return nil, errTooLate
	}
	chroot, err := h.gate.OpenChroot(h.store.path(sandbox.id, volume), nil)
	if err != nil {
		return nil, err
	}
	// Either the sandbox takes it, or it is ours to close: it can't be left over.
	if err := life.Attach(chroot); err != nil {
		return nil, errors.Join(errTooLate, err, chroot.Close())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mounts[sandbox.lifecycleID] == nil {
		h.mounts[sandbox.lifecycleID] = map[int]*nsgate.Chroot{}
	}
	h.mounts[sandbox.lifecycleID][volume] = chroot
	return chroot, nil
}

func (h *volumeHandler) mounted(lifecycleID string, volume int) *nsgate.Chroot {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mounts[lifecycleID][volume]
}

func (h *volumeHandler) OnInsert(context.Context, *sandbox) {}

func (h *volumeHandler) OnNetworkRelease(_ context.Context, s *sandbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.mounts, s.lifecycleID)
}
