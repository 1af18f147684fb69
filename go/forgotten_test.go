//go:build linux && cgo

package nsgate_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"

	nsgate "github.com/nsgate/nsgate/go"
)

// lockedBuffer may be written and read by several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAForgottenChrootIsReleasedCountedAndLogged(t *testing.T) {
	var logged lockedBuffer
	gate := openGate(t, nsgate.WithLogger(slog.New(slog.NewTextHandler(&logged, nil))), nsgate.WithDebug())
	volume := t.TempDir()
	forget := func() {
		chroot := get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil))
		must(t, chroot.Do(context.Background(), func() error { return nil }))
		ns := get[*nsgate.MountNamespace](t)(gate.CurrentNamespace())
		get[nsgate.NamespaceID](t)(ns.ID())
	}
	forget()
	eventually(t, "both are released", func() string {
		runtime.GC()
		stats := get[nsgate.Stats](t)(gate.Stats())
		if stats.Forgotten != 2 || stats.Released != 2 || stats.Reserved != 0 {
			return fmt.Sprintf("%+v", stats)
		}
		return ""
	})
	if said := logged.String(); strings.Count(said, "was forgotten") != 2 || !strings.Contains(said, volume) || !strings.Contains(said, "forgotten_test.go") {
		t.Errorf("logged %q", said)
	}
}

func TestWhatWasClosedOrAttachedIsNotForgotten(t *testing.T) {
	gate := openGate(t)
	m := openMap(t, gate)
	volume := t.TempDir()
	s := register(t, m, "s", "life")
	func() {
		attached := get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil))
		must(t, s.Attach(attached))
		closed := get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil))
		must(t, closed.Close())
	}()
	for range 5 {
		runtime.GC()
		runtime.Gosched()
	}
	must(t, gate.Fence(limited(t)))
	stats := get[nsgate.Stats](t)(gate.Stats())
	equal(t, stats.Forgotten, 0)
	equal(t, stats.Reserved, 1)
	equal(t, get[nsgate.SandboxInfo](t)(s.Info()).Attached, 1)
	changes(t)(s.NetworkReleased(context.Background()))
}

func TestWhatWasAttachedAndTakenBackIsForgotten(t *testing.T) {
	gate := openGate(t, nsgate.WithWorkers(1, 1), nsgate.WithBudgets(0, patience, 0))
	m := openMap(t, gate)
	volume := t.TempDir()
	started, busy := make(chan struct{}), make(chan struct{})
	job := get[*nsgate.Job](t)(gate.Reserve("busy", func(context.Context) error { close(started); <-busy; return nil }))
	get[nsgate.Ticket](t)(job.Submit())
	<-started
	taken := func(s *nsgate.Sandbox[*box], back func(*nsgate.Chroot)) {
		chroot := get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil))
		must(t, chroot.BeforeRelease(func(context.Context) error { return nil })) // waits behind the job
		must(t, s.Attach(chroot))
		back(chroot)
		equal(t, chroot.IsClosed(), false)
	}
	lasting, ending := register(t, m, "s", "lasting"), register(t, m, "s", "ending")
	taken(lasting, func(chroot *nsgate.Chroot) {
		must(t, get[nsgate.Ticket](t)(chroot.Release()).Cancel())
	})
	taken(ending, func(chroot *nsgate.Chroot) {
		changes(t)(ending.NetworkReleased(context.Background()))
		must(t, chroot.CancelRelease())
	})
	third := register(t, m, "s", "third")
	taken(third, func(chroot *nsgate.Chroot) {
		changes(t)(third.NetworkReleased(context.Background()))
		ticket, ok := chroot.Ticket()
		equal(t, ok, true)
		must(t, ticket.Cancel())
	})
	eventually(t, "all are counted", func() string {
		runtime.GC()
		if stats := get[nsgate.Stats](t)(gate.Stats()); stats.Forgotten != 3 {
			return fmt.Sprintf("%+v", stats)
		}
		return ""
	})
	close(busy)
}
