package volumehandler

import (
	"context"
	"errors"
	"net"

	"github.com/go-git/go-billy/v5"
	nfs "github.com/willscott/go-nfs"
)

// A connection is the handler of its own requests.
var _ nfs.Handler = (*connection)(nil)

var errStale = &nfs.NFSStatusError{NFSStatus: nfs.NFSStatusStale, WrappedErr: errors.New("the volume is not mounted")}

// Mount mounts a volume for the sandbox that has the connection's address now.
func (c *connection) Mount(_ context.Context, _ net.Conn, request nfs.MountRequest) (nfs.MountStatus, billy.Filesystem, []nfs.AuthFlavor) {
	if !c.server.join(c) {
		return nfs.MountStatusErrAcces, nil, nil
	}
	ctx, l := c.current()
	if l == nil {
		return nfs.MountStatusErrAcces, nil, nil
	}
	volume := volumeName(string(request.Dirpath))
	if _, ok := l.value.Volumes[volume]; !ok {
		return nfs.MountStatusErrNoEnt, nil, nil
	}
	m, status := c.server.mount(ctx, l, volume)
	if status != nfs.MountStatusOk {
		return status, nil, nil
	}
	return nfs.MountStatusOk, m, []nfs.AuthFlavor{nfs.AuthFlavorNull, nfs.AuthFlavorUnix}
}

// ToHandle returns the file handle of a path; of nothing, if a mount failed.
func (c *connection) ToHandle(f billy.Filesystem, path []string) []byte {
	m, ok := f.(*mount)
	if !ok {
		return nil
	}
	return encodeHandle(c.server.id, m.id, m.handles.file(path))
}

// FromHandle returns what a file handle of the connection's life means.
func (c *connection) FromHandle(handle []byte) (billy.Filesystem, []string, error) {
	id, file, ok := decodeHandle(c.server.id, handle)
	if !ok {
		return nil, nil, errStale
	}
	m := c.mountByID(id)
	if m == nil || m.gone() {
		return nil, nil, errStale
	}
	path, ok := m.handles.path(file)
	if !ok {
		return nil, nil, errStale
	}
	c.worksOn(m)
	return m, path, nil
}

// mountByID finds a mount of the connection's life.
func (c *connection) mountByID(id uint64) *mount {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.life == nil {
		return nil
	}
	if m, ok := c.life.byID[id]; ok && m.opened {
		return m
	}
	return nil
}

// InvalidateHandle forgets the file handle of what was removed or renamed.
func (c *connection) InvalidateHandle(f billy.Filesystem, handle []byte) error {
	if m, ok := f.(*mount); ok {
		if id, file, ok := decodeHandle(c.server.id, handle); ok && id == m.id {
			m.handles.forget(file)
		}
	}
	return nil
}

// HandleLimit returns how many file handles a mount has.
func (c *connection) HandleLimit() int { return c.server.options.HandlesPerMount }

// Change returns what changes attributes.
func (c *connection) Change(f billy.Filesystem) billy.Change {
	change, _ := f.(billy.Change)
	return change
}

// FSStat tells what is free on a volume.
func (c *connection) FSStat(_ context.Context, f billy.Filesystem, stat *nfs.FSStat) error {
	m, ok := f.(*mount)
	if !ok {
		return errStale
	}
	s, err := m.Statfs("/")
	if err != nil {
		return err
	}
	size := uint64(s.FragmentSize)
	stat.TotalSize, stat.FreeSize, stat.AvailableSize = s.Blocks*size, s.BlocksFree*size, s.BlocksAvailable*size
	stat.TotalFiles, stat.FreeFiles, stat.AvailableFiles = s.Files, s.FilesFree, s.FilesFree
	return nil
}
