//go:build linux && cgo

package nsgate_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/internal/capi"
	"github.com/nsgate/nsgate/go/internal/leftover"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	gate, err := nsgate.Open()
	if err != nil {
		fmt.Fprintf(os.Stderr, "the tests need a mount namespace of their own: go test -exec .../tests/in-namespace ./...\n%v\n", err)
		os.Exit(1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	if _, err := gate.Close(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cancel()
	code := m.Run()
	if left := leftover.Find(); left != "" {
		fmt.Fprintf(os.Stderr, "the tests leave behind:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// openGate opens a gate that is closed at the end of the test, after which the process must be as it was
// before: every thread at home, no descriptor and no value more.
func openGate(t testing.TB, options ...nsgate.Option) *nsgate.Gate {
	t.Helper()
	descriptors, goroutines := countDescriptors(t), runtime.NumGoroutine()
	quiet := []nsgate.Option{
		nsgate.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))),
		nsgate.WithNamespaceThreads(0, 50*time.Millisecond),
	}
	gate, err := nsgate.Open(append(quiet, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		runtime.GC()
		report, err := gate.Close(ctx)
		if err != nil && !errorIs(err, nsgate.ErrClosed) {
			t.Errorf("closing the gate: %v", err)
		}
		if report.Remaining != 0 || report.Abandoned != 0 {
			t.Errorf("the gate leaves something behind: %v", report)
		}
		eventually(t, "every thread is at home", leftover.ThreadsAbroad)
		eventually(t, "nothing is left of the test", func() string { return leftovers(t, descriptors, goroutines) })
	})
	return gate
}

// eventually waits until missing says nothing any more.
func eventually(t testing.TB, what string, missing func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		said := missing()
		if said == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("not so after %v: %s: %s", patience, what, said)
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func countDescriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func leftovers(t testing.TB, descriptors, goroutines int) string {
	t.Helper()
	runtime.GC()
	runs, jobs, lives, subscribers, calls := capi.Live()
	if runs+jobs+lives+subscribers+calls != 0 {
		return fmt.Sprintf("%d runs, %d jobs, %d lives, %d subscribers, %d calls", runs, jobs, lives, subscribers, calls)
	}
	if now := countDescriptors(t); now > descriptors {
		var open []string
		for fd := range 64 {
			if link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
				open = append(open, link)
			}
		}
		return fmt.Sprintf("%d descriptors instead of %d: %q", now, descriptors, open)
	}
	if now := runtime.NumGoroutine(); now > goroutines {
		return fmt.Sprintf("%d goroutines instead of %d", now, goroutines)
	}
	return ""
}

// openChroot opens a chroot of a new directory.
func openChroot(t testing.TB, gate *nsgate.Gate, options *nsgate.ChrootOptions) (*nsgate.Chroot, string) {
	t.Helper()
	volume := t.TempDir()
	chroot, err := gate.OpenChroot(volume, options)
	if err != nil {
		t.Fatal(err)
	}
	held := chroot
	t.Cleanup(func() {
		held.Close()
		held = nil // package testing keeps this function
	})
	return chroot, volume
}

// limited is a context for waits that must end.
func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get returns a value that comes without an error.
func get[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
