//go:build linux && cgo

package chrooted_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/chrooted"
)

func TestDoRunsInside(t *testing.T) {
	c, _ := open(t)
	must(t, get[*os.File](t)(c.Create("/inside")).Close())
	home := get[string](t)(os.Readlink("/proc/thread-self/ns/mnt"))
	failed := errors.New("as asked")
	equal(t, c.Do(func() error {
		if _, err := os.Stat("/inside"); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(c.ActualRoot); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the host is seen: %v", err)
		}
		return failed
	}), failed)
	equal(t, get[string](t)(os.Readlink("/proc/thread-self/ns/mnt")), home)
}

func TestAPanicInDoIsAnError(t *testing.T) {
	c, _ := open(t)
	err := c.Do(func() error { panic("game") })
	var panicErr *nsgate.PanicError
	if !errors.As(err, &panicErr) || panicErr.Value != "game" {
		t.Errorf("got %v", err)
	}
	must(t, c.Do(func() error { return nil }))
	must(t, c.Close())
}

func TestAWaitForDoEndsWithItsContext(t *testing.T) {
	gate := openGate(t, nsgate.WithNamespaceThreads(1, 50*time.Millisecond))
	c, _ := open(t, chrooted.WithGate(gate))
	started, hold, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() { ended <- c.Do(func() error { close(started); <-hold; return nil }) }()
	<-started
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	failsWith(t, c.DoContext(ctx, func() error { t.Error("it ran"); return nil }), context.DeadlineExceeded)
	close(hold)
	must(t, <-ended)
}

func TestWhatDoReturnsIsNotMistaken(t *testing.T) {
	c, _ := open(t)
	// The function's own trouble with something else is not the chroot's.
	err := c.Do(func() error { return nsgate.ErrClosed })
	equal(t, err, error(nsgate.ErrClosed))
	if errors.Is(err, chrooted.ErrNamespaceClosed) {
		t.Error("the chroot is open")
	}
}
