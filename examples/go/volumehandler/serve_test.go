//go:build linux && cgo

package volumehandler

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// failing is a listener that fails a few times first.
type failing struct {
	net.Listener
	errors []error
}

func (l *failing) Accept() (net.Conn, error) {
	if len(l.errors) > 0 {
		err := l.errors[0]
		l.errors = l.errors[1:]
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}
	}
	return l.Listener.Accept()
}

func TestErrorsOfAcceptThatPass(t *testing.T) {
	h := newHost(t, Options{})
	h.run("life", "10.0.0.1", "data")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() {
		served <- h.server.Serve(&failing{
			addressed{listener, "10.0.0.1"}, []error{syscall.EMFILE, syscall.ECONNABORTED, syscall.ENFILE},
		})
	}()
	mounted(t, listener.Addr().String(), "/data")
	listener.Close()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	bad := &failing{listener, []error{syscall.EINVAL}}
	if err := h.server.Serve(bad); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}

func TestCloseInterruptsAPauseOfServe(t *testing.T) {
	h := newHost(t, Options{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	errs := make([]error, 1000)
	for i := range errs {
		errs[i] = syscall.EMFILE
	}
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(&failing{listener, errs}) }()
	eventually(t, "it serves", func() bool {
		h.server.mu.Lock()
		defer h.server.mu.Unlock()
		return len(h.server.listeners) == 1
	})
	must(t, h.server.Close(context.Background()))
	equal(t, <-served, ErrClosed)
	equal(t, h.server.Serve(listener), ErrClosed)
	equal(t, h.server.Close(context.Background()), ErrClosed)
}

// reading connects and asks for more than sockets hold, so that the answer can't be written until it is
// looked at.
func reading(t *testing.T, h *host) net.Conn {
	t.Helper()
	const size = 16 << 20
	must(t, os.WriteFile(h.volume("data")+"/file", nil, 0o666))
	must(t, os.Truncate(h.volume("data")+"/file", size))
	target, _ := mounted(t, h.listen("10.0.0.1"), "/data")
	_, handle, err := target.Lookup("/file")
	must(t, err)
	conn := dialRaw(t, h.listen("10.0.0.1"))
	must(t, conn.(*net.TCPConn).SetReadBuffer(1<<16))
	_, err = conn.Write(request3(programNFS, 6, string(handle), uint64(0), size))
	must(t, err)
	eventually(t, "the answer waits", func() bool {
		h.server.mu.Lock()
		defer h.server.mu.Unlock()
		for c := range h.server.connections {
			if c.RemoteAddr().(*net.TCPAddr).Port == conn.LocalAddr().(*net.TCPAddr).Port {
				c.mu.Lock()
				defer c.mu.Unlock()
				return len(c.asked) > 0
			}
		}
		return false
	})
	return conn
}

func TestCloseIsBoundedByItsContext(t *testing.T) {
	h := newHost(t, Options{})
	h.run("life", "10.0.0.1", "data")
	conn := reading(t, h)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := h.server.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	equal(t, connectionsOf(h.server), 0)
	equal(t, h.open(), 0)
}

func TestCloseWaitsForAnswers(t *testing.T) {
	h := newHost(t, Options{})
	h.run("life", "10.0.0.1", "data")
	conn := reading(t, h)
	defer conn.Close()
	closed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		closed <- h.server.Close(ctx)
	}()
	<-h.server.ctx.Done()
	// The whole answer, and then the end.
	conn.SetReadDeadline(time.Now().Add(patience))
	answers := 0
	for {
		var mark [4]byte
		if _, err := io.ReadFull(conn, mark[:]); err != nil {
			break
		}
		length := int64(binary.BigEndian.Uint32(mark[:]) &^ lastFragment)
		if _, err := io.CopyN(io.Discard, conn, length); err != nil {
			t.Fatal("an answer was cut off: ", err)
		}
		answers++
	}
	must(t, <-closed)
	equal(t, answers, 1)
}
