//go:build linux && cgo

package volumehandler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	nfsc "github.com/willscott/go-nfs-client/nfs"
	"github.com/willscott/go-nfs-client/nfs/rpc"

	nsgate "github.com/nsgate/nsgate/go"
)

// host is a host of sandboxes with a server for their volumes. At the end of the test nothing of it may
// be left.
type host struct {
	t         testing.TB
	gate      *nsgate.Gate
	sandboxes *nsgate.Map[*Sandbox]
	server    *Server
	volumes   string
}

func newHost(t testing.TB, options Options) *host {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	options.Log = quiet
	h := &host{t: t, volumes: t.TempDir()}
	var err error
	h.gate, err = nsgate.Open(nsgate.WithLogger(quiet))
	must(t, err)
	h.sandboxes, err = nsgate.NewMap[*Sandbox](h.gate)
	must(t, err)
	h.server, err = New(h.gate, h.sandboxes, options)
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.server.Close(ctx); err != nil && err != ErrClosed {
			t.Error(err)
		}
		equal(t, len(h.server.lives), 0)
		equal(t, len(h.server.connections), 0)
		must(t, h.sandboxes.Close())
		report, err := h.gate.Close(ctx)
		if err != nil || report.Remaining != 0 || report.Abandoned != 0 {
			t.Errorf("closing the gate: %v, %v", report, err)
		}
	})
	return h
}

// volume is the directory of a volume.
func (h *host) volume(name string) string { return filepath.Join(h.volumes, name) }

// run starts a life with an address, whose volumes are made. Sandboxes share volumes of the same name.
func (h *host) run(lifecycle, address string, volumes ...string) *nsgate.Sandbox[*Sandbox] {
	h.t.Helper()
	value := &Sandbox{LifecycleID: lifecycle, Volumes: make(map[string]string)}
	for _, name := range volumes {
		value.Volumes[name] = h.volume(name)
		must(h.t, os.MkdirAll(h.volume(name), 0o755))
	}
	sandbox, err := h.sandboxes.Register("sandbox of "+lifecycle, lifecycle, value)
	must(h.t, err)
	_, err = sandbox.AssignNetwork(netip.MustParseAddr(address))
	must(h.t, err)
	_, err = sandbox.MarkRunning(context.Background())
	must(h.t, err)
	return sandbox
}

// end ends a life.
func (h *host) end(sandbox *nsgate.Sandbox[*Sandbox]) {
	h.t.Helper()
	for _, change := range []func(context.Context) (bool, error){
		sandbox.MarkStopping, sandbox.NetworkReleased, sandbox.MarkStopped,
	} {
		if _, err := change(context.Background()); err != nil {
			h.t.Error(err)
		}
	}
}

// listen serves on loopback, where every client seems to come from an address, and returns where to dial.
func (h *host) listen(address string) string {
	h.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(h.t, err)
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(addressed{listener, address}) }()
	h.t.Cleanup(func() {
		listener.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) && err != ErrClosed {
			h.t.Error(err)
		}
	})
	return listener.Addr().String()
}

// open returns how many chroots there are, closed ones that are not gone yet left out.
func (h *host) open() int {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(h.t, h.gate.Fence(ctx))
	stats, err := h.gate.Stats()
	must(h.t, err)
	return int(stats.Reserved)
}

// addressed is a listener whose clients seem to come from an address.
type addressed struct {
	net.Listener
	address string
}

func (l addressed) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	port := conn.RemoteAddr().(*net.TCPAddr).Port
	return addressedConn{conn, &net.TCPAddr{IP: net.ParseIP(l.address), Port: port}}, nil
}

type addressedConn struct {
	net.Conn
	remote net.Addr
}

func (c addressedConn) RemoteAddr() net.Addr { return c.remote }

// dial connects an NFS client. It tries other ports while the one that it takes for itself is in use.
func dial(t testing.TB, where string) *rpc.Client {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		client, err := rpc.DialTCP("tcp", where, false)
		if err == nil {
			t.Cleanup(client.Close)
			return client
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// mounted connects and mounts a volume.
func mounted(t testing.TB, where, volume string) (*nfsc.Target, *nfsc.Mount) {
	t.Helper()
	mount := &nfsc.Mount{Client: dial(t, where)}
	target, err := mount.Mount(volume, rpc.AuthNull)
	must(t, err)
	return target, mount
}

// isStale checks that an operation failed because its volume isn't mounted any more.
func isStale(t testing.TB, err error) {
	t.Helper()
	if status := nfsStatus(err); status != nfsc.NFS3ErrStale {
		t.Errorf("got %v, want NFS3ERR_STALE", err)
	}
}

func nfsStatus(err error) int {
	var status *nfsc.Error
	if errors.As(err, &status) {
		return int(status.ErrorNum)
	}
	return -1
}

// mountFails checks that a MOUNT request is answered with an error.
func mountFails(t testing.TB, client *rpc.Client, volume, want string) {
	t.Helper()
	_, err := (&nfsc.Mount{Client: client}).Mount(volume, rpc.AuthNull)
	if fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
