//go:build linux && cgo

package chrooted_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/chrooted"
	"github.com/nsgate/nsgate/go/internal/leftover"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// TestMain ends with the default gate closed, and then looks for what is left of all tests.
func TestMain(m *testing.M) {
	if _, err := chrooted.DefaultGate(); err != nil {
		fmt.Fprintf(os.Stderr, "the tests need a mount namespace of their own: go test -exec .../tests/in-namespace ./...\n%v\n", err)
		os.Exit(1)
	}
	code := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	runtime.GC()
	if report, err := chrooted.CloseDefaultGate(ctx); err != nil || report.Remaining+report.Abandoned != 0 {
		fmt.Fprintln(os.Stderr, "closing the default gate:", report, err)
		code = 1
	}
	if left := leftover.Find(); left != "" {
		fmt.Fprintf(os.Stderr, "the tests leave behind:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// open opens a chroot of a new directory, which it returns, too. At the end it is closed if it is not yet.
func open(t testing.TB, options ...chrooted.Option) (*chrooted.Chrooted, string) {
	t.Helper()
	source := t.TempDir()
	c, err := chrooted.Chroot(context.Background(), source, options...)
	must(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, chrooted.ErrNamespaceClosed) {
			t.Error(err)
		}
	})
	return c, source
}

// openGate opens a gate of the test's own.
func openGate(t testing.TB, options ...nsgate.Option) *nsgate.Gate {
	t.Helper()
	gate := get[*nsgate.Gate](t)(nsgate.Open(options...))
	t.Cleanup(func() {
		report, err := gate.Close(limited(t))
		if err != nil && !errors.Is(err, nsgate.ErrClosed) || report.Remaining+report.Abandoned != 0 {
			t.Errorf("closing the gate: %v, %v", report, err)
		}
	})
	return gate
}

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
		must(t, err)
		return value
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func failsWith(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("got the error %v, want %v", err, target)
	}
}

func second[T any](_ T, err error) error { return err }
