package volumehandler

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	nfs "github.com/willscott/go-nfs"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/nsgatebilly"
)

// mount is a volume that is mounted by a life, and the file system that its requests work on.
type mount struct {
	*nsgatebilly.FS
	life    *life
	id      uint64
	volume  string
	handles *handles

	// ready is closed when the volume was opened or could not be; status tells which.
	ready  chan struct{}
	status nfs.MountStatus
	chroot *nsgate.Chroot

	// Guarded by the server's lock.
	opened bool
	users  int // MNT requests without their UMNT
}

// mount returns a volume of a life, and opens it unless another request does or has. ctx ends the wait
// for another's; a file system that hangs in open holds its own connection only.
func (s *Server) mount(ctx context.Context, l *life, volume string) (*mount, nfs.MountStatus) {
	s.mu.Lock()
	if l.over {
		s.mu.Unlock()
		return nil, nfs.MountStatusErrAcces
	}
	m, present := l.mounts[volume]
	if !present {
		if len(l.mounts) >= s.options.MountsPerLife {
			s.mu.Unlock()
			return nil, nfs.MountStatusErrServerFault
		}
		s.lastMount++
		m = &mount{life: l, id: s.lastMount, volume: volume, ready: make(chan struct{})}
		l.mounts[volume], l.byID[m.id] = m, m
	}
	m.users++
	s.mu.Unlock()

	if !present {
		s.open(m)
		close(m.ready)
	}
	select {
	case <-m.ready:
		return m, m.status
	case <-ctx.Done():
		s.unmount(l, m)
		return nil, nfs.MountStatusErrAcces
	}
}

// open opens the volume and makes it the sandbox's. If the network was released meanwhile it is the
// sandbox that says so.
func (s *Server) open(m *mount) {
	chroot, err := s.gate.OpenChroot(m.life.value.Volumes[m.volume], &s.options.Chroot)
	if err == nil {
		if err = m.life.sandbox.Attach(chroot); err != nil {
			chroot.Close()
		}
	}
	if err == nil {
		m.chroot, m.FS, m.handles = chroot, nsgatebilly.New(chroot), newHandles(s.options.HandlesPerMount)
	}
	s.mu.Lock()
	switch {
	case m.life.over:
		// Whatever was attached is released with the network, or else is given up with the server.
		m.status = nfs.MountStatusErrAcces
	case err != nil:
		m.status = statusOf(err)
		delete(m.life.mounts, m.volume)
		delete(m.life.byID, m.id)
	default:
		m.opened = true
	}
	abandoned := m.life.over && err == nil
	s.mu.Unlock()
	if abandoned {
		m.close()
	}
	if err != nil {
		s.options.Log.Warn("volume handler: mount failed", "lifecycle", m.life.value.LifecycleID,
			"volume", m.volume, "error", err)
	}
}

// unmount takes one user from a mount; the last one closes it.
func (s *Server) unmount(l *life, m *mount) {
	s.mu.Lock()
	m.users--
	last := m.users <= 0 && m.opened && l.mounts[m.volume] == m
	if last {
		delete(l.mounts, m.volume)
		delete(l.byID, m.id)
	}
	s.mu.Unlock()
	if last {
		m.close()
	}
}

// unmountByName is an UMNT of a life. That the volume isn't mounted is no error.
func (s *Server) unmountByName(c *connection, volume string) {
	s.mu.Lock()
	l := c.life
	var m *mount
	if l != nil {
		m = l.mounts[volume]
	}
	if m != nil && !m.opened {
		m = nil // its MNT wasn't answered yet
	}
	s.mu.Unlock()
	if m != nil {
		s.unmount(l, m)
	}
}

// close hands the volume over for release, unless the sandbox has.
func (m *mount) close() {
	if detached, err := m.life.sandbox.Detach(m.chroot); err == nil && detached {
		m.chroot.Close()
	}
}

// gone tells whether the volume was closed, by UMNT or with the network.
func (m *mount) gone() bool { return m.chroot.IsClosed() }

// statusOf is what a client is told about a volume that can't be opened.
func statusOf(err error) nfs.MountStatus {
	switch {
	case errors.Is(err, nsgate.ErrFull):
		return nfs.MountStatusErrServerFault
	case errors.Is(err, fs.ErrNotExist):
		return nfs.MountStatusErrNoEnt
	case errors.Is(err, syscall.ENOTDIR):
		return nfs.MountStatusErrNotDir
	case errors.Is(err, fs.ErrPermission), errors.Is(err, nsgate.ErrClosed):
		return nfs.MountStatusErrAcces
	}
	return nfs.MountStatusErrIO
}
