package volumehandler

import (
	"context"

	nfs "github.com/willscott/go-nfs"
)

// go-nfs has no UMNTALL, which clients send when they start anew, but takes handlers for what it lacks. They
// are the process's; if the program has one already, that answers.
func init() {
	_ = nfs.RegisterMessageHandler(programMount, uint32(nfs.MountProcUmntAll), onUmountAll)
}

// onUmountAll answers with nothing, as UMNT does. The type of its answer has no name outside go-nfs.
func onUmountAll[A interface{ Write([]byte) error }](_ context.Context, answer A, handler nfs.Handler) error {
	if c, ok := handler.(*connection); ok {
		c.server.unmountAllOf(c)
	}
	return answer.Write(nil)
}

// unmountAllOf closes all volumes of a connection's life, but those whose MNT wasn't answered yet.
func (s *Server) unmountAllOf(c *connection) {
	var closed []*mount
	s.mu.Lock()
	if l := c.life; l != nil {
		for volume, m := range l.mounts {
			if m.opened {
				m.users = 0
				delete(l.mounts, volume)
				delete(l.byID, m.id)
				closed = append(closed, m)
			}
		}
	}
	s.mu.Unlock()
	for _, m := range closed {
		m.close()
	}
}
