package nsgate

import (
	"context"
	"errors"
	"sync"

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

// beginChange makes a change known to callbacks, which find it by the key.
func beginChange(ctx context.Context) (c *change, key uint64) {
	c = &change{ctx: ctx}
	return c, capi.Calls.Add(c)
}

var answers = sync.Pool{New: func() any { return new(capi.Answer) }}

// end returns whether the change changed anything, and the panics of subscribers. The answer goes back to
// answers.
func (c *change) end(key uint64, status int32, answer *capi.Answer) (bool, error) {
	defer func() {
		*answer = capi.Answer{}
		answers.Put(answer)
	}()
	if outer, ok := capi.Calls.Get(answer.Outermost); ok {
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
		return false, newError(&answer.Error)
	}
	return answer.Changed != 0, c.err()
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
