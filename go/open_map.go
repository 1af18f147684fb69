package nsgate

import (
	"sync"
	"sync/atomic"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// openMap is the part of a map that its gate knows, so that a map can be forgotten.
type openMap struct {
	id     uint64
	all    *openMaps
	closed atomic.Bool
	done   chan struct{} // closed by close
}

// openMaps are the maps of a gate that are not closed.
type openMaps struct {
	mu     sync.Mutex
	maps   map[*openMap]struct{}
	closed bool
}

// create makes a map. ErrClosed: the gate has closed.
func (a *openMaps) create(gate uint64) (*openMap, error) {
	o := &openMap{all: a, done: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	var e capi.Error
	if capi.MapCreate(gate, &o.id, &e) != capi.StatusOK {
		return nil, newError(&e)
	}
	if a.maps == nil {
		a.maps = make(map[*openMap]struct{})
	}
	a.maps[o] = struct{}{}
	return o, nil
}

// close closes all maps, and lets none be made any more.
func (a *openMaps) close() {
	a.mu.Lock()
	left := a.maps
	a.maps, a.closed = nil, true
	a.mu.Unlock()
	for o := range left {
		_ = o.close() // ErrClosed: somebody else just did
	}
}

// close answers ErrClosed if it is closed.
func (o *openMap) close() error {
	if !o.closed.CompareAndSwap(false, true) {
		return ErrClosed
	}
	close(o.done)
	o.all.mu.Lock()
	delete(o.all.maps, o)
	o.all.mu.Unlock()
	var e capi.Error
	if capi.MapFree(o.id, &e) != capi.StatusOK {
		return newError(&e)
	}
	return nil
}
