package volumehandler

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"
)

// connection is a client's connection as go-nfs reads and writes it. It gives go-nfs whole, checked
// requests only, sees what go-nfs keeps for itself (UMNT) and knows which requests aren't answered yet.
type connection struct {
	net.Conn
	server *Server

	// transport is go-nfs's context, which ends with the connection and not before: a released life's
	// requests still want their answers.
	transport      context.Context
	closeTransport context.CancelFunc

	// Guarded by the server's lock. ctx is what a request waits with: it is cancelled when the
	// connection closes, when the life's network is released and when the server closes.
	life       *life
	ctx        context.Context
	cancel     context.CancelFunc
	stopLinger func() bool
	closed     bool

	// Only for who reads.
	reader *bufio.Reader
	record bytes.Buffer

	mu        sync.Mutex
	asked     []request // not answered yet, oldest first
	finishing bool

	// Only for who writes: how much is missing of the answer that is being written.
	missing int
}

// request is a request that isn't answered yet.
type request struct {
	program uint32
	mount   *mount // nil until it is known
}

func newConnection(s *Server, conn net.Conn) *connection {
	c := &connection{Conn: conn, server: s, reader: bufio.NewReader(conn)}
	c.transport, c.closeTransport = context.WithCancel(context.Background())
	return c
}

// joined makes a life the connection's. s.mu is held.
func (c *connection) joined(l *life) {
	c.life = l
	c.ctx, c.cancel = context.WithCancel(l.ctx)
	_ = c.Conn.SetDeadline(time.Time{}) // closed: its next use says so
	c.stopLinger = context.AfterFunc(l.ctx, func() { c.linger(l) })
}

// left is joined undone. s.mu is held.
func (c *connection) left() {
	c.stopLinger()
	c.cancel()
	c.life = nil
}

// linger gives a released life's connection the time to say that its file handles are stale.
func (c *connection) linger(l *life) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.life == l && l.over {
		_ = c.Conn.SetDeadline(time.Now().Add(c.server.options.Linger))
	}
}

// current returns the connection's life and the context for its requests.
func (c *connection) current() (context.Context, *life) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return c.ctx, c.life
}

// Read gives go-nfs one request at a time. After any failure the connection is closed.
func (c *connection) Read(p []byte) (int, error) {
	if c.record.Len() == 0 {
		if err := c.next(); err != nil {
			c.Close()
			return 0, io.EOF
		}
	}
	return c.record.Read(p)
}

// next reads a request.
func (c *connection) next() error {
	if err := readRecord(c.reader, &c.record, c.server.options.MaxRequest); err != nil {
		return err
	}
	call, err := parseCall(c.record.Bytes())
	if err != nil {
		return err
	}
	c.mu.Lock()
	finishing := c.finishing
	if !finishing {
		c.asked = append(c.asked, request{program: call.program})
	}
	c.mu.Unlock()
	if finishing {
		return ErrClosed
	}
	if call.program == programMount && call.procedure == procedureUmount {
		if path, ok := call.path(); ok {
			c.server.unmountByName(c, volumeName(path))
		}
	}
	return nil
}

// worksOn says what the request that go-nfs is at, the youngest, works on.
func (c *connection) worksOn(m *mount) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.asked); n > 0 {
		c.asked[n-1].mount = m
	}
}

// Write writes answers, each from its beginning.
func (c *connection) Write(p []byte) (int, error) {
	if c.missing == 0 && len(p) >= 4 {
		c.missing = 4 + int(binary.BigEndian.Uint32(p)&^lastFragment)
		p = c.corrected(p)
	}
	n, err := c.Conn.Write(p)
	c.missing = max(0, c.missing-n)
	if err != nil {
		c.Close()
		return n, err
	}
	if c.missing == 0 {
		c.answered()
	}
	return n, nil
}

// corrected is an answer that says STALE where a request failed because its volume was closed meanwhile.
func (c *connection) corrected(answer []byte) []byte {
	c.mu.Lock()
	var r request
	if len(c.asked) > 0 {
		r = c.asked[0]
	}
	c.mu.Unlock()
	if r.program == programNFS && r.mount != nil && failed(answer) && r.mount.gone() {
		return stale(answer)
	}
	return answer
}

// answered counts an answer.
func (c *connection) answered() {
	c.mu.Lock()
	if len(c.asked) > 0 {
		c.asked = c.asked[1:]
	}
	over := c.finishing && len(c.asked) == 0
	c.mu.Unlock()
	if over {
		c.Close()
	}
}

// finish closes the connection when what was asked is answered.
func (c *connection) finish() {
	c.mu.Lock()
	c.finishing = true
	over := len(c.asked) == 0
	c.mu.Unlock()
	if over {
		c.Close()
	}
}

// Close closes the connection and leaves its life.
func (c *connection) Close() error {
	c.server.mu.Lock()
	closed := c.closed
	c.closed = true
	if !closed {
		c.server.leave(c)
	}
	c.server.mu.Unlock()
	if closed {
		return net.ErrClosed
	}
	c.closeTransport()
	return c.Conn.Close()
}
