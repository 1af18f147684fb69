//go:build linux && cgo

package volumehandler

import (
	"fmt"
	"os"
	"testing"
	"time"

	nfs "github.com/willscott/go-nfs"
	"github.com/willscott/go-nfs-client/nfs/rpc"
	"github.com/willscott/go-nfs-client/nfs/util"
	"go.uber.org/goleak"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// clientCache is a goroutine that the NFS client never ends.
var clientCache = goleak.IgnoreAnyFunction("github.com/willscott/go-nfs-client/nfs.(*Target).cleanupCache")

func TestMain(m *testing.M) {
	nfs.Log.SetLevel(nfs.FatalLevel)
	util.DefaultLogger.SetDebug(false)
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

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", patience, what)
		}
	}
}
