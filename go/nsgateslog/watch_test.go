//go:build linux && cgo

package nsgateslog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/nsgateslog"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openGate(t testing.TB, options ...nsgate.Option) *nsgate.Gate {
	t.Helper()
	quiet := nsgate.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	gate, err := nsgate.Open(append(options, quiet)...)
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if _, err := gate.Close(ctx); err != nil && err != nsgate.ErrClosed {
			t.Error(err)
		}
	})
	return gate
}

// lines keeps what is logged.
type lines struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

// with returns the records with a message.
func (l *lines) with(t testing.TB, message string) (found []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buffer.String()) {
		record := make(map[string]any)
		must(t, json.Unmarshal([]byte(line), &record))
		if record["msg"] == message {
			found = append(found, record)
		}
	}
	return found
}

// one waits for the one record with a message.
func (l *lines) one(t testing.TB, message string) map[string]any {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if found := l.with(t, message); len(found) > 0 {
			return found[0]
		}
	}
	t.Fatalf("not logged after %v: %s; but %s", patience, message, l.buffer.String())
	return nil
}

func submit(t testing.TB, gate *nsgate.Gate, label string, f func(context.Context) error) nsgate.Ticket {
	t.Helper()
	job, err := gate.Reserve(label, f)
	must(t, err)
	defer job.Free()
	ticket, err := job.Submit()
	must(t, err)
	return ticket
}

func TestFailedReleases(t *testing.T) {
	gate := openGate(t)
	var log lines
	watcher := nsgateslog.Watch(gate, log.logger(), nsgateslog.Options{})
	defer watcher.Stop()
	submit(t, gate, "good", func(context.Context) error { return nil })
	ticket := submit(t, gate, "bad", func(context.Context) error { return syscall.ENOTCONN })
	record := log.one(t, "nsgate: a release failed")
	want := map[string]any{
		"level": "ERROR", "kind": "job", "label": "bad", "attempts": 1.0,
		"error": syscall.ENOTCONN.Error(), "ticket": float64(ticket.ID()),
	}
	for key, value := range want {
		if record[key] != value {
			t.Errorf("%s is %v, want %v", key, record[key], value)
		}
	}
	must(t, ticket.Forget())
	watcher.Stop()
	if all := log.with(t, "nsgate: a release failed"); len(all) != 1 {
		t.Error(all)
	}
}

func TestStepsBeforeAReleaseThatFail(t *testing.T) {
	gate := openGate(t)
	var log lines
	watcher := nsgateslog.Watch(gate, log.logger(), nsgateslog.Options{})
	defer watcher.Stop()
	chroot, err := gate.OpenChroot(t.TempDir(), nil)
	must(t, err)
	must(t, chroot.BeforeRelease(func(context.Context) error { return syscall.EBADMSG }))
	must(t, chroot.Close())
	record := log.one(t, "nsgate: the step before a release failed")
	if record["error"] != syscall.EBADMSG.Error() || record["kind"] != "chroot" {
		t.Error(record)
	}
}

func TestReleasesThatHang(t *testing.T) {
	gate := openGate(t, nsgate.WithBudgets(0, 10*time.Millisecond, 0))
	var log lines
	watcher := nsgateslog.Watch(gate, log.logger(), nsgateslog.Options{Interval: time.Millisecond})
	defer watcher.Stop()
	hang := make(chan struct{})
	submit(t, gate, "hanging", func(context.Context) error { <-hang; return nil })
	record := log.one(t, "nsgate: a release hangs")
	if record["label"] != "hanging" || record["level"] != "WARN" || record["age"] == 0.0 {
		t.Error(record)
	}
	close(hang)
	record = log.one(t, "nsgate: a release no longer hangs")
	if record["label"] != "hanging" {
		t.Error(record)
	}
	watcher.Stop()
	if all := log.with(t, "nsgate: a release hangs"); len(all) != 1 {
		t.Error(all)
	}
}

func TestSlowCallbacks(t *testing.T) {
	gate := openGate(t, nsgate.WithBudgets(0, 0, time.Microsecond))
	sandboxes, err := nsgate.NewMap[string](gate)
	must(t, err)
	defer sandboxes.Close()
	subscription, err := sandboxes.Subscribe("slow one", nsgate.Callbacks[string]{
		Insert: func(context.Context, string) { time.Sleep(2 * time.Millisecond) },
	})
	must(t, err)
	var log lines
	watcher := nsgateslog.Watch(gate, log.logger(), nsgateslog.Options{Subscriptions: []*nsgate.Subscription{subscription}})
	sandbox, err := sandboxes.Register("sandbox", "life", "value")
	must(t, err)
	_, err = sandbox.MarkRunning(context.Background())
	must(t, err)
	watcher.Stop() // has a last look
	record := log.one(t, "nsgate: a subscriber kept its callers waiting")
	if record["subscriber"] != "slow one" || record["calls"] != 1.0 || record["longest"].(float64) < 2e6 {
		t.Error(record)
	}
	watcher.Stop()
}

func TestTheWatchEndsWithItsGate(t *testing.T) {
	gate := openGate(t)
	var log lines
	watcher := nsgateslog.Watch(gate, log.logger(), nsgateslog.Options{Interval: time.Millisecond})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := gate.Close(ctx)
	must(t, err)
	noneIsLeft(t)
	watcher.Stop()
}

// noneIsLeft waits for the end of goroutines that have said that they end.
func noneIsLeft(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(patience); watches(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a watcher was left")
		}
	}
}

// watches tells whether there is a watcher's goroutine.
func watches() bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return slices.ContainsFunc(strings.Split(string(stacks), "\n\n"), func(stack string) bool {
		return strings.Contains(stack, "nsgateslog.(*Watcher).run")
	})
}

func TestNoGoroutineIsLeft(t *testing.T) {
	gate := openGate(t)
	for range 10 {
		nsgateslog.Watch(gate, slog.New(slog.DiscardHandler), nsgateslog.Options{}).Stop()
	}
	noneIsLeft(t)
}
