package capi

import (
	"runtime"
	"sync"
	"testing"
)

func TestARegistryFindsWhatIsInIt(t *testing.T) {
	var r Registry[string]
	if _, ok := r.Get(0); ok {
		t.Error("found 0")
	}
	a, b := r.Add("a"), r.Add("b")
	if value, ok := r.Get(a); !ok || value != "a" {
		t.Errorf("got %q, %v", value, ok)
	}
	if value, ok := r.Remove(a); !ok || value != "a" {
		t.Errorf("removed %q, %v", value, ok)
	}
	c := r.Add("c") // in the same slot
	if uint32(c) != uint32(a) || c == a {
		t.Errorf("slots %x and %x", a, c)
	}
	for _, gone := range []uint64{a, 0, 1 << 63, b + 1<<32, 1<<64 - 1} {
		if value, ok := r.Get(gone); ok {
			t.Errorf("%x is %q", gone, value)
		}
		if value, ok := r.Remove(gone); ok {
			t.Errorf("removed %x: %q", gone, value)
		}
	}
	if r.Len() != 2 {
		t.Errorf("%d are in it", r.Len())
	}
}

func TestARegistryUnderManyHands(t *testing.T) {
	var r Registry[int]
	var all sync.WaitGroup
	for worker := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 3000 {
				key := r.Add(worker)
				if value, ok := r.Get(key); !ok || value != worker {
					t.Errorf("got %d, %v", value, ok)
				}
				if i%3 != 0 {
					r.Remove(key)
				}
			}
		}()
	}
	all.Wait()
	if r.Len() != 8000 {
		t.Errorf("%d are in it", r.Len())
	}
}

func TestContainReturnsHoweverTheFunctionEnds(t *testing.T) {
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	lockThread()
	if ending := Contain(func() {}); ending.Panicked || ending.Goexit {
		t.Errorf("%+v", ending)
	}
	if ending := Contain(func() { panic("value") }); !ending.Panicked || ending.Value != "value" || len(ending.Stack) == 0 {
		t.Errorf("%+v", ending)
	}
	if ending := Contain(runtime.Goexit); !ending.Goexit || ending.Panicked {
		t.Errorf("%+v", ending)
	}
	if ending := Contain(func() { runtime.LockOSThread(); lockThread(); Contain(runtime.Goexit); panic(1) }); ending.Value != 1 {
		t.Errorf("%+v", ending)
	}
	for range 50 {
		Contain(runtime.LockOSThread)
		Contain(runtime.UnlockOSThread)
	}
}

func TestRecordsDontTrustTheirBuffer(t *testing.T) {
	buffer := make([]uint64, 64)
	for used := range 600 {
		for range Records(buffer, used) {
			t.Fatal("a record of length 0")
		}
	}
	buffer[0] = 1<<63 | 1<<31 // lengths beyond the buffer
	for range Records(buffer, 512) {
		t.Fatal("a record beyond the buffer")
	}
}
