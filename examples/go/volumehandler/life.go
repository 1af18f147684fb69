package volumehandler

import (
	"context"

	nsgate "github.com/nsgate/nsgate/go"
)

// life is what the server keeps of one life of a sandbox, from its first connection until its network is
// released. Its fields are guarded by the server's lock, once it is made.
type life struct {
	value       *Sandbox
	sandbox     *nsgate.Sandbox[*Sandbox]
	ctx         context.Context // cancelled by the release of the network, and by Close
	cancel      context.CancelFunc
	over        bool
	connections int
	mounts      map[string]*mount // by the volumes' names
	byID        map[uint64]*mount // the same by what is in their file handles
}

// join makes a connection one of the life that has its address now, and returns whether it may be. One
// that was of another life leaves that.
func (s *Server) join(c *connection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || c.closed {
		return false
	}
	l := s.lifeOf(c)
	switch {
	case l == nil:
		return false
	case l == c.life:
		return true
	case l.connections >= s.options.ConnectionsPerLife:
		return false
	}
	s.leave(c)
	s.connections[c] = struct{}{}
	l.connections++
	c.joined(l)
	return true
}

// lifeOf finds the life by the connection's address. Under the lock, the release of its network can't
// have been told yet: so what is added to the life is dropped then. s.mu is held.
func (s *Server) lifeOf(c *connection) *life {
	value, err := s.sandboxes.GetByHostPort(c.RemoteAddr().String())
	if err != nil {
		return nil
	}
	if l, ok := s.lives[value.LifecycleID]; ok {
		return l
	}
	sandbox, ok := s.sandboxes.Sandbox(value.LifecycleID)
	if !ok {
		return nil
	}
	l := &life{
		value:   value,
		sandbox: sandbox,
		mounts:  make(map[string]*mount),
		byID:    make(map[uint64]*mount),
	}
	l.ctx, l.cancel = context.WithCancel(s.ctx)
	s.lives[value.LifecycleID] = l
	return l
}

// leave takes a connection from its life. s.mu is held.
func (s *Server) leave(c *connection) {
	delete(s.connections, c)
	if c.life != nil {
		c.life.connections--
		c.left()
	}
	s.checkEmpty()
}

// release is told after the sandbox's network was released, with all that was attached to it.
func (s *Server) release(sandbox *Sandbox) {
	s.mu.Lock()
	l := s.lives[sandbox.LifecycleID]
	delete(s.lives, sandbox.LifecycleID)
	if l != nil {
		l.over, l.mounts, l.byID = true, nil, nil
	}
	s.mu.Unlock()
	if l != nil {
		l.cancel()
	}
}

// unmountAll gives up the lives that are left when the server has closed.
func (s *Server) unmountAll() {
	s.mu.Lock()
	lives := s.lives
	s.lives = make(map[string]*life)
	var mounts []*mount
	for _, l := range lives {
		for _, m := range l.mounts {
			if m.opened {
				mounts = append(mounts, m)
			}
		}
		l.over, l.mounts, l.byID = true, nil, nil
	}
	s.mu.Unlock()
	for _, l := range lives {
		l.cancel()
	}
	for _, m := range mounts {
		m.close()
	}
}
