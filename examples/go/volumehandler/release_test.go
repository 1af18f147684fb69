//go:build linux && cgo

package volumehandler

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	nfsc "github.com/willscott/go-nfs-client/nfs"
	"github.com/willscott/go-nfs-client/nfs/rpc"
)

func TestReleaseInTheMiddleOfWrites(t *testing.T) {
	const writers = 4
	h := newHost(t, Options{})
	sandbox := h.run("life", "10.0.0.1", "data")
	where := h.listen("10.0.0.1")
	var all, busy sync.WaitGroup
	block := make([]byte, 4096)
	for i := range writers {
		target, _ := mounted(t, where, "/data")
		file, err := target.OpenFile(fmt.Sprint("/file", i), 0o644)
		must(t, err)
		all.Add(1)
		busy.Add(1)
		go func() {
			defer all.Done()
			for n := 0; ; n++ {
				if n == 10 {
					busy.Done()
				}
				if _, err := file.Write(block); err != nil {
					isStale(t, err)
					if n < 10 {
						busy.Done()
					}
					return
				}
			}
		}()
	}
	busy.Wait()
	changed, err := sandbox.NetworkReleased(context.Background())
	must(t, err)
	equal(t, changed, true)
	all.Wait()
	equal(t, h.open(), 0)
}

func TestANewLifeMountsAgain(t *testing.T) {
	h := newHost(t, Options{})
	old := h.run("old", "10.0.0.1", "data")
	where := h.listen("10.0.0.1")
	target, mount := mounted(t, where, "/data")
	_, err := target.Mkdir("/kept", 0o755)
	must(t, err)
	_, handle, err := target.Lookup("/")
	must(t, err)
	h.end(old)
	_, err = target.GetAttr(handle)
	isStale(t, err)
	mountFails(t, mount.Client, "/data", "MNT3ERR_ACCES") // nobody has the address

	h.run("new", "10.0.0.1", "data")
	_, err = target.GetAttr(handle)
	isStale(t, err)
	for _, client := range []*rpc.Client{mount.Client, dial(t, where)} {
		again, err := (&nfsc.Mount{Client: client}).Mount("/data", rpc.AuthNull)
		must(t, err)
		_, _, err = again.Lookup("/kept")
		must(t, err)
		_, err = again.GetAttr(handle)
		isStale(t, err)
	}
	equal(t, h.open(), 1)
	h.server.mu.Lock()
	equal(t, h.server.lives["new"].connections, 2)
	h.server.mu.Unlock()
}

func TestMountsThatRaceWithTheReleaseAreNotLeftOver(t *testing.T) {
	const clients = 4
	rounds := 100
	if testing.Short() {
		rounds = 20
	}
	h := newHost(t, Options{Linger: time.Minute})
	where := h.listen("10.0.0.1")
	for round := range rounds {
		sandbox := h.run(fmt.Sprint("life", round), "10.0.0.1", "a", "b")
		var all sync.WaitGroup
		for i := range clients {
			client := dialRaw(t, where)
			all.Add(1)
			go func() {
				defer all.Done()
				defer client.Close()
				// What it is answered, if anything, is a matter of luck.
				client.Write(mountRequest([]string{"/a", "/b"}[i%2]))
				client.SetReadDeadline(time.Now().Add(patience))
				client.Read(make([]byte, 64))
			}()
		}
		all.Add(1)
		go func() {
			defer all.Done()
			h.end(sandbox)
		}()
		all.Wait()
		eventually(t, "nothing is left", func() bool {
			h.server.mu.Lock()
			defer h.server.mu.Unlock()
			return len(h.server.lives) == 0 && len(h.server.connections) == 0
		})
		equal(t, h.open(), 0)
	}
}

func TestConnectionsEndAWhileAfterTheirLife(t *testing.T) {
	h := newHost(t, Options{Linger: time.Millisecond})
	sandbox := h.run("life", "10.0.0.1", "data")
	conn := dialRaw(t, h.listen("10.0.0.1"))
	defer conn.Close()
	eventually(t, "it is known", func() bool { return connectionsOf(h.server) == 1 })
	h.end(sandbox)
	eventually(t, "it is closed", func() bool { return connectionsOf(h.server) == 0 })
}

func connectionsOf(s *Server) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.connections)
}

func TestContextsOfConnections(t *testing.T) {
	h := newHost(t, Options{})
	sandbox := h.run("life", "10.0.0.1", "data")
	h.run("other", "10.0.0.2", "data")
	contextOf := func(where string) (context.Context, func()) {
		before := connectionsOf(h.server)
		known := make(map[*connection]bool)
		h.server.mu.Lock()
		for c := range h.server.connections {
			known[c] = true
		}
		h.server.mu.Unlock()
		conn := dialRaw(t, where)
		eventually(t, "it is known", func() bool { return connectionsOf(h.server) == before+1 })
		h.server.mu.Lock()
		defer h.server.mu.Unlock()
		for c := range h.server.connections {
			if !known[c] {
				return c.ctx, func() { conn.Close() }
			}
		}
		t.Fatal("it is gone")
		return nil, nil
	}
	one, two := h.listen("10.0.0.1"), h.listen("10.0.0.2")
	closes, closeIt := contextOf(one)
	released, closeReleased := contextOf(one)
	ends, closeEnds := contextOf(two)
	defer closeReleased()
	defer closeEnds()
	closeIt()
	<-closes.Done()
	must(t, released.Err())
	h.end(sandbox)
	<-released.Done()
	must(t, ends.Err())
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(t, h.server.Close(ctx))
	<-ends.Done()
}

func TestTheReleaseWaitsForNoClient(t *testing.T) {
	h := newHost(t, Options{Linger: time.Millisecond})
	sandbox := h.run("life", "10.0.0.1", "data")
	conn := reading(t, h) // its answer can't be written
	defer conn.Close()
	h.end(sandbox)
	equal(t, h.open(), 0)
	eventually(t, "it is cut off", func() bool { return connectionsOf(h.server) == 0 })
}
