package nsgate

import (
	"context"
	"errors"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// change is one call that changes a sandbox, as the callbacks that it causes find it.
type change struct {
	ctx    context.Context
	panics []*PanicError
	// told is how many panics the call has returned.
	told int
	// nested are calls from inside callbacks of this one. An event of theirs may be told after they have
	// returned, by this one: so they are found until this one ends.
	nested []nestedChange
}

type nestedChange struct {
	key    uint64
	change *change
}

// makeChange makes a change and returns whether it changed anything, and the panics of subscribers.
func makeChange(ctx context.Context, call func(key uint64, changed *bool, outermost *uint64, e *capi.Error) int32) (bool, error) {
	c := &change{ctx: ctx}
	key := capi.Calls.Add(c)
	var changed bool
	var outermost uint64
	var e capi.Error
	status := call(key, &changed, &outermost, &e)
	if outer, ok := capi.Calls.Get(outermost); ok {
		outer := outer.(*change)
		outer.nested = append(outer.nested, nestedChange{key, c})
	} else {
		capi.Calls.Remove(key)
		for _, n := range c.nested {
			capi.Calls.Remove(n.key)
			c.panics = append(c.panics, n.change.panics[n.change.told:]...)
		}
	}
	if status != capi.StatusOK {
		return false, newError(&e)
	}
	return changed, c.err()
}

// err returns the panics that were not returned yet.
func (c *change) err() error {
	panics := c.panics[c.told:]
	c.told = len(c.panics)
	switch len(panics) {
	case 0:
		return nil
	case 1:
		return panics[0]
	}
	errs := make([]error, len(panics))
	for i, p := range panics {
		errs[i] = p
	}
	return errors.Join(errs...)
}
