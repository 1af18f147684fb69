package capi

import (
	"sync"
	"sync/atomic"
)

// Registry gives values numbers that can be left with C. A number is never given twice: behind its
// index it has the generation of its slot, so a late one finds nothing instead of a successor.
//
// Get takes no lock: look-ups of the sandbox map and all callbacks go through it.
type Registry[V any] struct {
	chunks [maxChunks]atomic.Pointer[[chunkSize]slot[V]]

	mu    sync.Mutex
	free  []uint32
	slots uint32
	live  int
}

const (
	chunkBits = 10
	chunkSize = 1 << chunkBits
	maxChunks = 1 << 12
)

type slot[V any] struct {
	entry      atomic.Pointer[entry[V]]
	generation uint32 // guarded by Registry.mu
}

type entry[V any] struct {
	key   uint64
	value V
}

// Add returns the number of a value, 0 if there is no place for it.
func (r *Registry[V]) Add(value V) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var index uint32
	if n := len(r.free); n > 0 {
		index, r.free = r.free[n-1], r.free[:n-1]
	} else {
		if r.slots == maxChunks*chunkSize {
			return 0
		}
		index = r.slots
		if index%chunkSize == 0 {
			r.chunks[index>>chunkBits].Store(new([chunkSize]slot[V]))
		}
		r.slots++
	}
	place := r.slot(index)
	place.generation++
	key := uint64(place.generation)<<32 | uint64(index)
	place.entry.Store(&entry[V]{key, value})
	r.live++
	return key
}

func (r *Registry[V]) slot(index uint32) *slot[V] {
	if index >= maxChunks*chunkSize {
		return nil
	}
	chunk := r.chunks[index>>chunkBits].Load()
	if chunk == nil {
		return nil
	}
	return &chunk[index%chunkSize]
}

// Get returns the value of a number that was not removed.
func (r *Registry[V]) Get(key uint64) (value V, ok bool) {
	place := r.slot(uint32(key))
	if place == nil {
		return value, false
	}
	found := place.entry.Load()
	if found == nil || found.key != key {
		return value, false
	}
	return found.value, true
}

// Remove ends a number and returns its value.
func (r *Registry[V]) Remove(key uint64) (value V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	place := r.slot(uint32(key))
	if place == nil {
		return value, false
	}
	found := place.entry.Load()
	if found == nil || found.key != key {
		return value, false
	}
	place.entry.Store(nil)
	if place.generation != 1<<32-1 {
		r.free = append(r.free, uint32(key))
	}
	r.live--
	return found.value, true
}

// Len returns how many numbers are in use.
func (r *Registry[V]) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live
}
