package nsgate

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func newPlaces(gate, perChroot uint32, patience time.Duration) *fileOperations {
	return newFileOperations(operationLimits{gate, perChroot, patience})
}

// fill takes all places that a share can have, and returns how many.
func fill(f *fileOperations, s *share) (taken int) {
	for f.take(s) {
		taken++
	}
	return taken
}

func TestPlacesAreRefusedWhenThereAreNone(t *testing.T) {
	for _, patience := range []time.Duration{-1, 0, time.Millisecond} {
		f, s := newPlaces(100, 2, patience), new(share)
		for range 3 {
			if taken := fill(f, s); taken != 2 {
				t.Fatalf("there are %d places, not 2", taken)
			}
			f.give(s)
			f.give(s)
		}
	}
}

func TestEveryShareLeavesRoomForOthers(t *testing.T) {
	for _, places := range []uint32{1, 2, 3, 10, 1000, defaultFileOperations} {
		f := newPlaces(places, 0, 0)
		shares := make([]share, 20)
		for i := range shares {
			taken := fill(f, &shares[i])
			if half := int(places+1) / 2; i == 0 && taken != half {
				t.Errorf("of %d places the first gets %d, not %d", places, taken, half)
			}
			left := int(places) - int(f.taken.Load())
			if taken == 0 && left > 0 {
				t.Errorf("there are %d of %d places left, and none for the next", left, places)
			}
			if places > 100 && left < int(places)/(2*(i+1)) {
				t.Errorf("%d shares leave %d of %d places", i+1, left, places)
			}
		}
		// What one gives up another gets.
		for f.taken.Load() > 0 {
			for i := range shares {
				for shares[i].wanted.Load() > 0 {
					f.give(&shares[i])
				}
			}
		}
		if taken := fill(f, &shares[7]); taken != int(places+1)/2 {
			t.Errorf("later a share gets %d of %d", taken, places)
		}
	}
}

func TestAPlaceIsWaitedFor(t *testing.T) {
	f, s := newPlaces(10, 1, time.Hour), new(share)
	if !f.take(s) {
		t.Fatal("there is a place")
	}
	got := make(chan bool)
	go func() { got <- f.take(s) }()
	for s.wanted.Load() != 2 {
		time.Sleep(time.Millisecond)
	}
	f.give(s)
	if !<-got {
		t.Error("the place was not handed on")
	}
	f.patience = 0
	if f.take(s) {
		t.Error("it was handed to two")
	}
	f.give(s)
	if !f.take(s) {
		t.Error("it was lost")
	}
}

// TestAPlaceOfAnotherShareIsWaitedFor: who waits has room when another share gives a place up.
func TestAPlaceOfAnotherShareIsWaitedFor(t *testing.T) {
	f, first, second := newPlaces(2, 0, time.Hour), new(share), new(share)
	if !f.take(first) || !f.take(second) {
		t.Fatal("there are two places")
	}
	got := make(chan bool)
	go func() { got <- f.take(second) }()
	for f.waiting.Load() != 1 {
		time.Sleep(time.Millisecond)
	}
	f.give(first)
	f.give(second)
	if !<-got {
		t.Error("no place was handed on")
	}
}

// TestPlacesAreNeitherLostNorMade lets many take places, with and without patience, and give them back.
func TestPlacesAreNeitherLostNorMade(t *testing.T) {
	const limit = 3
	f, s := newPlaces(7, limit, 30*time.Microsecond), make([]share, 3)
	var taken [3]atomic.Int64
	var most, refused atomic.Int64
	var all sync.WaitGroup
	for worker := range 24 {
		all.Add(1)
		go func() {
			defer all.Done()
			mine := worker % len(s)
			for i := range 2000 {
				if !f.take(&s[mine]) {
					refused.Add(1)
					continue
				}
				if n := taken[mine].Add(1); n > limit {
					most.Store(n)
				}
				if i%16 == 0 {
					time.Sleep(time.Microsecond)
				}
				taken[mine].Add(-1)
				f.give(&s[mine])
			}
		}()
	}
	all.Wait()
	if n := most.Load(); n != 0 {
		t.Errorf("%d had a place at once", n)
	}
	if f.taken.Load() != 0 || f.waiting.Load() != 0 || len(f.waits) != 0 {
		t.Errorf("%d are taken and %d wait", f.taken.Load(), f.waiting.Load())
	}
	f.patience = 0
	for i := range s {
		if n := s[i].wanted.Load(); n != 0 || s[i].waits.Len() != 0 {
			t.Errorf("%d are wanted in share %d", n, i)
		}
	}
	if n := fill(f, &s[0]); n != limit {
		t.Errorf("%d places are left, not %d", n, limit)
	}
	t.Logf("%d refused", refused.Load())
}

// TestNobodyIsForgottenWhoWaits: without a limit to patience each gets a place, however few there are.
func TestNobodyIsForgottenWhoWaits(t *testing.T) {
	f, s := newPlaces(3, 0, time.Hour), make([]share, 4)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var all sync.WaitGroup
		for worker := range 32 {
			all.Add(1)
			go func() {
				defer all.Done()
				for range 2000 {
					if !f.take(&s[worker%len(s)]) {
						t.Error("refused")
						return
					}
					f.give(&s[worker%len(s)])
				}
			}()
		}
		all.Wait()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("somebody waits for good")
	}
}
