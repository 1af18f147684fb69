//go:build linux && cgo

package chrooted_test

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/nsgate/nsgate/go/chrooted"
)

func TestChrootsCanBeCompared(t *testing.T) {
	one, source := open(t)
	same := one
	two, err := chrooted.Chroot(t.Context(), source)
	must(t, err)
	defer two.Close()
	equal(t, one == same, true)
	equal(t, one == two, false)
	equal(t, reflect.DeepEqual(one, same), true)
	equal(t, reflect.DeepEqual(one, two), false) // of the same directory, but not the same
	byChroot := map[any]int{one: 1, two: 2}
	equal(t, byChroot[same], 1)
}

// TestAChrootCanBeWalkedWhileItIsUsed is for the race detector: go-nfs compares file systems by
// reflect.DeepEqual, and loggers print what they get.
func TestAChrootCanBeWalkedWhileItIsUsed(t *testing.T) {
	c := withFiles(t, chrooted.WithMetadata("key", "value"))
	other := withFiles(t, chrooted.WithMetadata("key", "value"))
	other.ActualRoot = c.ActualRoot
	stop := make(chan struct{})
	var walkers, users sync.WaitGroup
	for _, look := range []func(){
		func() { reflect.DeepEqual(c, other) },
		func() { _ = fmt.Sprintf("%v %+v %#v", *c, c, c) },
		func() { walk(reflect.ValueOf(c), make(map[uintptr]bool)) },
	} {
		walkers.Add(1)
		go func() {
			defer walkers.Done()
			for {
				select {
				case <-stop:
					return
				default:
					look()
				}
			}
		}()
	}
	for name, operation := range operations(c) {
		users.Add(1)
		go func() {
			defer users.Done()
			for range 200 {
				if err := operation(); err != nil && !errors.Is(err, chrooted.ErrNamespaceClosed) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}()
	}
	users.Wait()
	must(t, c.Close())
	close(stop)
	walkers.Wait()
}

// walk reads all that reflect can reach.
func walk(v reflect.Value, seen map[uintptr]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && !seen[v.Pointer()] {
			seen[v.Pointer()] = true
			walk(v.Elem(), seen)
		}
	case reflect.Interface:
		walk(v.Elem(), seen)
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), seen)
		}
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			walk(entries.Key(), seen)
			walk(entries.Value(), seen)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walk(v.Index(i), seen)
		}
	default:
		_ = fmt.Sprint(v)
	}
}
