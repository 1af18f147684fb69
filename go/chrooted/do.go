package chrooted

import (
	"context"
	"sync"
)

// Do calls f on a thread whose root directory is the chroot, and returns its error: see
// [nsgate.Chroot.Do]. A panic of f is returned as a *nsgate.PanicError. It waits for its turn as long as
// it takes; with DoContext as long as ctx allows.
func (c *Chrooted) Do(f func() error) error {
	return c.DoContext(context.Background(), f)
}

// DoContext is Do with a ctx that may end the wait for a thread. Once f runs, it is waited for.
func (c *Chrooted) DoContext(ctx context.Context, f func() error) error {
	s := c.state()
	began := false
	err := s.chroot.Do(ctx, func() error {
		began = true
		defer s.inside.enter()()
		return f()
	})
	if began {
		return err // also if f says that something else is closed
	}
	return answer(err)
}

// threads are those that are inside of a chroot.
type threads struct {
	mu  sync.Mutex
	ids map[int]bool
}

// enter adds the calling thread, which the goroutine is bound to, until leave is called.
func (t *threads) enter() (leave func()) {
	id := currentThread()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ids == nil {
		t.ids = make(map[int]bool)
	}
	t.ids[id] = true
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.ids, id)
	}
}

func (t *threads) hasCaller() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.ids) != 0 && t.ids[currentThread()]
}
