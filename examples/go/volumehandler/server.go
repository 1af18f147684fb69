package volumehandler

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"sync"

	nsgate "github.com/nsgate/nsgate/go"
)

// ErrClosed is what Serve and a second Close answer after Close.
var ErrClosed = errors.New("volumehandler: closed")

// Server serves the volumes of a map's sandboxes.
type Server struct {
	gate         *nsgate.Gate
	sandboxes    *nsgate.Map[*Sandbox]
	options      Options
	subscription *nsgate.Subscription
	id           [8]byte // tells this server's file handles and writes from those of one before

	ctx    context.Context // cancelled by Close
	cancel context.CancelFunc

	// mu guards all the bookkeeping, here and in lives, mounts and connections. Nothing blocks under it.
	mu          sync.Mutex
	closed      bool
	lives       map[string]*life // by lifecycle id, until their networks are released
	connections map[*connection]struct{}
	listeners   map[net.Listener]struct{}
	lastMount   uint64
	empty       chan struct{} // closed when Close finds, or waits for, the last connection's end
}

// New makes a server and subscribes it to the map. Close it before the map and the gate.
func New(gate *nsgate.Gate, sandboxes *nsgate.Map[*Sandbox], options Options) (*Server, error) {
	s := &Server{
		gate:        gate,
		sandboxes:   sandboxes,
		options:     options.withDefaults(),
		lives:       make(map[string]*life),
		connections: make(map[*connection]struct{}),
		listeners:   make(map[net.Listener]struct{}),
		empty:       make(chan struct{}),
	}
	rand.Read(s.id[:])
	s.ctx, s.cancel = context.WithCancel(context.Background())
	var err error
	s.subscription, err = sandboxes.Subscribe("volume handler", nsgate.Callbacks[*Sandbox]{
		NetworkRelease: func(_ context.Context, sandbox *Sandbox) { s.release(sandbox) },
	})
	if err != nil {
		s.cancel()
		return nil, err
	}
	return s, nil
}

// Close ends the server: nothing new is accepted, contexts are cancelled, running requests are waited for
// and answered, connections closed and volumes unmounted. If ctx is done before, connections are cut off,
// and the error is ctx's. The volumes' releases are the gate's to wait for.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.closed = true
	connections := make([]*connection, 0, len(s.connections))
	for c := range s.connections {
		connections = append(connections, c)
	}
	for l := range s.listeners {
		l.Close()
	}
	s.checkEmpty()
	s.mu.Unlock()

	s.cancel()
	for _, c := range connections {
		c.finish()
	}
	var err error
	select {
	case <-s.empty:
	case <-ctx.Done():
		err = ctx.Err()
		for _, c := range connections {
			c.Close()
		}
	}
	s.unmountAll()
	if waitErr := s.subscription.UnsubscribeWait(ctx); err == nil {
		err = waitErr
	}
	return err
}

// checkEmpty lets Close go on after the last connection. s.mu is held.
func (s *Server) checkEmpty() {
	if s.closed && len(s.connections) == 0 {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}
