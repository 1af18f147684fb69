//go:build linux && cgo

package nsgate_test

import (
	"errors"
	"sync"
	"testing"
)

func errorIs(err, target error) bool { return errors.Is(err, target) }

// failsWith checks that err is one of a kind.
func failsWith(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("got the error %v, want %v", err, target)
	}
}

// group is a sync.WaitGroup that starts what it waits for.
type group struct{ sync.WaitGroup }

func (g *group) Go(f func()) {
	g.Add(1)
	go func() {
		defer g.Done()
		f()
	}()
}
