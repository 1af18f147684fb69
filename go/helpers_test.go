//go:build linux && cgo

package nsgate_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
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

// newRandom gives numbers for choices, by NSGATE_SEED or else by the clock.
func newRandom(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("NSGATE_SEED"); given != "" {
		seed = get[uint64](t)(strconv.ParseUint(given, 10, 64))
	}
	t.Logf("to repeat the choices: NSGATE_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
