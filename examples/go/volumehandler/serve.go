package volumehandler

import (
	"errors"
	"net"
	"syscall"
	"time"

	nfs "github.com/willscott/go-nfs"
)

// The pauses after an Accept that failed for a while, as for want of descriptors.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
)

// Serve accepts connections until the listener fails for good, or Close, which answers ErrClosed. It
// closes the listener. There may be several.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()
	pause := firstPause
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = firstPause
			s.serve(conn)
		case s.ctx.Err() != nil:
			return ErrClosed
		case passes(err):
			s.options.Log.Warn("volume handler: no connection can be accepted for now", "error", err)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
			pause = min(2*pause, longestPause)
		default:
			return err
		}
	}
}

// passes tells whether an error of Accept passes by itself.
func passes(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

// serve starts the service of one connection, which has a server of go-nfs to itself: so that its handler
// knows whose file handles they are.
func (s *Server) serve(conn net.Conn) {
	c := newConnection(s, conn)
	if !s.join(c) {
		s.options.Log.Info("volume handler: connection refused", "from", conn.RemoteAddr())
		c.Close()
		return
	}
	server := &nfs.Server{Handler: c, ID: s.id, Context: c.transport}
	_ = server.Serve(&single{conn: c}) // returns when it has accepted the one
}

// single is a listener for one connection.
type single struct{ conn net.Conn }

func (l *single) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, net.ErrClosed
	}
	conn := l.conn
	l.conn = nil
	return conn, nil
}

func (l *single) Close() error   { return nil }
func (l *single) Addr() net.Addr { return nil }
