//go:build linux && cgo

package volumehandler_test

import (
	"context"
	"log"
	"net"
	"net/netip"
	"time"

	nsgate "github.com/nsgate/nsgate/go"

	"github.com/nsgate/nsgate/examples/go/volumehandler"
)

func Example() {
	gate, err := nsgate.Open()
	if err != nil {
		log.Fatal(err)
	}
	sandboxes, err := nsgate.NewMap[*volumehandler.Sandbox](gate)
	if err != nil {
		log.Fatal(err)
	}
	server, err := volumehandler.New(gate, sandboxes, volumehandler.Options{})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // 10.0.0.1:2049, say
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(listener)

	// What the orchestrator does for each life of a sandbox. The guest mounts 10.0.0.1:/data meanwhile.
	ctx := context.Background()
	sandbox, err := sandboxes.Register("sandbox-1", "life-1", &volumehandler.Sandbox{
		LifecycleID: "life-1",
		Volumes:     map[string]string{"data": "/srv/volumes/1"},
	})
	if err != nil {
		log.Fatal(err)
	}
	sandbox.AssignNetwork(netip.MustParseAddr("10.0.0.2"))
	sandbox.MarkRunning(ctx)
	sandbox.MarkStopping(ctx)
	sandbox.NetworkReleased(ctx) // its volumes are handed over for release; file handles are stale
	sandbox.MarkStopped(ctx)

	// The end of the program.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	server.Close(ctx)
	sandboxes.Close()
	gate.Close(ctx)
	// Output:
}
