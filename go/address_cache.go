package nsgate

import (
	"sync"
	"sync/atomic"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// addressCache keeps the lives that look-ups by address have found: to ask the library is a crossing each
// time, as dear as the look-up itself. The library counts when an address changes hands, whoever causes
// that; as long as it has not, what is kept is what the library would answer. What was not found is not
// kept, for strangers to fill the memory with.
type addressCache struct {
	// changes is the count that found is of, 0 while nothing is kept. Changed under mu.
	changes atomic.Uint64
	mu      sync.RWMutex
	found   map[[16]byte]any
}

// find returns the value of the life of a map that has an address, nil if there is none.
func (c *addressCache) find(m uint64, address [16]byte) any {
	changes := capi.AddressChanges()
	c.mu.RLock()
	var found any
	if c.changes.Load() == changes {
		found = c.found[address]
	}
	c.mu.RUnlock()
	if found == nil {
		if found = capi.MapFindByAddress(m, address); found != nil {
			c.keep(changes, address, found)
		}
	}
	return found
}

// keep keeps what was found after the count was read.
func (c *addressCache) keep(changes uint64, address [16]byte, found any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if changes != capi.AddressChanges() {
		return // forget may have been here
	}
	if c.changes.Load() != changes {
		c.changes.Store(changes)
		c.found = make(map[[16]byte]any)
	}
	c.found[address] = found
}

// forget lets go of lives that have lost their addresses: after every release of a network.
func (c *addressCache) forget() {
	if c.changes.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes.Load() != capi.AddressChanges() {
		c.changes.Store(0)
		c.found = nil
	}
}
