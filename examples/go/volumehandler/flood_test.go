//go:build linux && cgo

package volumehandler

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	nfsc "github.com/willscott/go-nfs-client/nfs"
	"github.com/willscott/go-nfs-client/nfs/rpc"
)

func TestAFloodOfMounts(t *testing.T) {
	const clients, volumes, limit = 24, 8, 5
	h := newHost(t, Options{MountsPerLife: limit, ConnectionsPerLife: clients})
	var names []string
	for i := range volumes {
		names = append(names, fmt.Sprint("volume", i))
	}
	sandbox := h.run("life", "10.0.0.1", names...)
	where := h.listen("10.0.0.1")
	var targets [clients]*nfsc.Mount
	for i := range targets {
		targets[i] = &nfsc.Mount{Client: dial(t, where)}
	}
	var good, full atomic.Int64
	var mountedOnes sync.Map
	var all sync.WaitGroup
	for i, mount := range targets {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := range volumes {
				name := names[(i+j)%volumes]
				switch _, err := mount.Mount("/"+name, rpc.AuthNull); {
				case err == nil:
					good.Add(1)
					mountedOnes.Store(name, true)
				case err.Error() == "unknown mount stat: 10006":
					full.Add(1)
				default:
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	// Each of the first few volumes for every client, nothing for anybody else.
	equal(t, good.Load(), clients*limit)
	equal(t, full.Load(), clients*(volumes-limit))
	count := 0
	mountedOnes.Range(func(any, any) bool { count++; return true })
	equal(t, count, limit)
	equal(t, h.open(), limit)
	stats, err := h.gate.Stats()
	must(t, err)
	equal(t, stats.Adds, 0) // and none was opened in vain
	h.end(sandbox)
	equal(t, h.open(), 0)
}

func TestConnectionsAreLimited(t *testing.T) {
	h := newHost(t, Options{ConnectionsPerLife: 2})
	h.run("life", "10.0.0.1", "data")
	h.run("other", "10.0.0.2", "data")
	where := h.listen("10.0.0.1")
	mounted(t, where, "/data")
	_, second := mounted(t, where, "/data")
	refused(t, where)
	mounted(t, h.listen("10.0.0.2"), "/data") // others are none of its business
	second.Client.Close()
	eventually(t, "the place is free", func() bool {
		h.server.mu.Lock()
		defer h.server.mu.Unlock()
		return h.server.lives["life"].connections == 1
	})
	mounted(t, where, "/data")
}
