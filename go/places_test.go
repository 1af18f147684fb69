package nsgate

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPlacesAreRefusedWhenThereAreNone(t *testing.T) {
	p := newPlaces(2)
	for range 3 {
		for place := 1; place <= 2; place++ {
			if !p.take(0) {
				t.Fatalf("there is no place %d", place)
			}
		}
		for _, patience := range []time.Duration{-1, 0, time.Millisecond} {
			if p.take(patience) {
				t.Fatal("there is no third place")
			}
		}
		p.give()
		p.give()
	}
}

func TestAPlaceIsWaitedFor(t *testing.T) {
	p := newPlaces(1)
	if !p.take(0) {
		t.Fatal("there is a place")
	}
	got := make(chan bool)
	go func() { got <- p.take(time.Hour) }()
	for p.wanted.Load() != 2 {
		time.Sleep(time.Millisecond)
	}
	p.give()
	if !<-got {
		t.Error("the place was not handed on")
	}
	if p.take(0) {
		t.Error("it was handed to two")
	}
	p.give()
	if !p.take(0) {
		t.Error("it was lost")
	}
}

// TestPlacesAreNeitherLostNorMade lets many take places, with and without patience, and give them back.
func TestPlacesAreNeitherLostNorMade(t *testing.T) {
	const limit = 3
	p := newPlaces(limit)
	var taken, most, refused atomic.Int64
	var all sync.WaitGroup
	for worker := range 16 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 2000 {
				patience := time.Duration((worker*i)%4) * 20 * time.Microsecond
				if !p.take(patience) {
					refused.Add(1)
					continue
				}
				if n := taken.Add(1); n > limit {
					most.Store(n)
				}
				if i%16 == 0 {
					time.Sleep(time.Microsecond)
				}
				taken.Add(-1)
				p.give()
			}
		}()
	}
	all.Wait()
	if n := most.Load(); n != 0 {
		t.Errorf("%d had a place at once", n)
	}
	if n := p.wanted.Load(); n != 0 || len(p.left) != 0 {
		t.Errorf("%d are wanted and %d left by nobody", n, len(p.left))
	}
	for range limit {
		if !p.take(0) {
			t.Error("a place was lost")
		}
	}
	t.Logf("%d refused", refused.Load())
}
