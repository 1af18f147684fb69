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
	"sync/atomic"
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
	eventually(t, "both are logged", func() string {
		if said := logged.String(); strings.Count(said, "was forgotten") != 2 || !strings.Contains(said, volume) || !strings.Contains(said, "forgotten_test.go") {
			return fmt.Sprintf("logged %q", said)
		}
		return ""
	})
}

// handlerFunc is a slog.Handler that is one function.
type handlerFunc func(slog.Record)

func (h handlerFunc) Enabled(context.Context, slog.Level) bool           { return true }
func (h handlerFunc) Handle(_ context.Context, record slog.Record) error { h(record); return nil }
func (h handlerFunc) WithAttrs([]slog.Attr) slog.Handler                 { return h }
func (h handlerFunc) WithGroup(string) slog.Handler                      { return h }

// forgetOne forgets a chroot and waits until that has been seen and mended so many times.
func forgetOne(t *testing.T, gate *nsgate.Gate, times uint64) {
	t.Helper()
	volume := t.TempDir()
	func() { get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil)) }()
	eventually(t, "it is released", func() string {
		runtime.GC()
		if stats := get[nsgate.Stats](t)(gate.Stats()); stats.Forgotten != times || stats.Released != times {
			return fmt.Sprintf("%+v", stats)
		}
		return ""
	})
}

func TestWhatIsForgottenIsReleasedWhateverTheLoggerDoes(t *testing.T) {
	letGo, blocks := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	gate := openGate(t, nsgate.WithLogger(slog.New(handlerFunc(func(slog.Record) {
		switch calls.Add(1) {
		case 1:
			panic("a handler's")
		case 2:
			runtime.Goexit()
		case 3:
			close(blocks)
			<-letGo
		}
	}))))
	forgetOne(t, gate, 1)
	forgetOne(t, gate, 2)
	forgetOne(t, gate, 3)
	<-blocks
	forgetOne(t, gate, 4)
	equal(t, calls.Load(), 3) // one at a time
	close(letGo)
	eventually(t, "the last one is logged", func() string {
		if now := calls.Load(); now != 4 {
			return fmt.Sprint(now, " messages")
		}
		return ""
	})
}

func TestALoggerThatHangsIsNotGivenWorkWithoutEnd(t *testing.T) {
	letGo, blocks := make(chan struct{}), make(chan struct{}, 1)
	var messages journal
	gate := openGate(t, nsgate.WithLogger(slog.New(handlerFunc(func(record slog.Record) {
		if record.Message == "nsgate: first" {
			blocks <- struct{}{}
			<-letGo
		}
		record.Attrs(func(a slog.Attr) bool { messages.add(record.Message + " " + a.Value.String()); return true })
	}))))
	gate.Say("nsgate: first")
	<-blocks
	const most = 1024
	for i := range most + 10 {
		gate.Say("nsgate: more", "number", i)
	}
	close(letGo)
	var said []string
	eventually(t, "all that was kept is logged", func() string {
		said = append(said, messages.take()...)
		if len(said) != most+1 {
			return fmt.Sprint(len(said), " messages")
		}
		return ""
	})
	for i, line := range said[:most] {
		equal(t, line, fmt.Sprint("nsgate: more ", i))
	}
	equal(t, said[most], "nsgate: messages were not logged, because the logger hung 10")
}

func TestNoLoggerDiscardsAndNoOptionIsNone(t *testing.T) {
	gate := openGate(t, nil, nsgate.WithLogger(nil), nil)
	forgetOne(t, gate, 1)
}

func TestAPanicOfOnReleaseHoldsNothingUpWhateverTheLoggerDoes(t *testing.T) {
	logged := make(chan struct{})
	gate := openGate(t, nsgate.WithLogger(slog.New(handlerFunc(func(slog.Record) { close(logged); panic("a handler's") }))))
	m := openMap(t, gate)
	ended := make(chan struct{}, 2)
	get[*nsgate.Subscription](t)(m.Subscribe("panics", nsgate.Callbacks[*box]{
		Release: func(_ context.Context, b *box, _ nsgate.Event) {
			ended <- struct{}{}
			if b.name == "first" {
				panic("a subscriber's")
			}
		},
	}))
	for _, life := range []string{"first", "second"} {
		s := register(t, m, "sandbox", life)
		chroot, _ := openChroot(t, gate, nil)
		must(t, s.Attach(chroot))
		changes(t)(s.NetworkReleased(context.Background()))
		<-ended
	}
	<-logged
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
