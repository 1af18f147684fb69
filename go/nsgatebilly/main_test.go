//go:build linux && cgo

package nsgatebilly_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	nfs "github.com/willscott/go-nfs"
	"github.com/willscott/go-nfs-client/nfs/rpc"
	"go.uber.org/goleak"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/nsgatebilly"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// clientCache is a goroutine that the NFS client never ends.
var clientCache = goleak.IgnoreAnyFunction("github.com/willscott/go-nfs-client/nfs.(*Target).cleanupCache")

func TestMain(m *testing.M) {
	nfs.Log.SetLevel(nfs.FatalLevel)
	rpc.DefaultReadTimeout = patience
	status := m.Run()
	// Goroutines that end have a while to do so.
	leak := goleak.Find(clientCache)
	for deadline := time.Now().Add(patience); leak != nil && time.Now().Before(deadline); {
		leak = goleak.Find(clientCache)
	}
	if leak != nil {
		fmt.Fprintln(os.Stderr, leak)
		status = 1
	}
	os.Exit(status)
}

// openGate opens a gate that is closed at the end of the test, with nothing left.
func openGate(t testing.TB, options ...nsgate.Option) *nsgate.Gate {
	t.Helper()
	gate, err := nsgate.Open(append(options, nsgate.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		report, err := gate.Close(ctx)
		if err != nil || report.Remaining != 0 || report.Abandoned != 0 {
			t.Errorf("closing the gate: %v, %v", report, err)
		}
	})
	return gate
}

// openFS opens a file system of a new volume.
func openFS(t testing.TB, options *nsgate.ChrootOptions) (fs *nsgatebilly.FS, volume string) {
	t.Helper()
	volume = t.TempDir()
	return openVolume(t, openGate(t), volume, options), volume
}

func openVolume(t testing.TB, gate *nsgate.Gate, volume string, options *nsgate.ChrootOptions) *nsgatebilly.FS {
	t.Helper()
	chroot, err := gate.OpenChroot(volume, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chroot.Close() })
	return nsgatebilly.New(chroot)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func openFSOf(chroot *nsgate.Chroot) *nsgatebilly.FS { return nsgatebilly.New(chroot) }
