//go:build linux && cgo

package nsgate_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"

	nsgate "github.com/nsgate/nsgate/go"
)

// plainMap is what a look-up costs in Go alone.
type plainMap struct {
	mu        sync.RWMutex
	addresses map[netip.Addr]*box
}

func (m *plainMap) get(address netip.Addr) (*box, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	b, ok := m.addresses[address]
	return b, ok
}

func BenchmarkGetByAddress(b *testing.B) {
	gate := openGate(b)
	m := openMap(b, gate)
	plain := &plainMap{addresses: map[netip.Addr]*box{}}
	address := netip.MustParseAddr("10.0.0.0")
	for i := range 100 {
		address = address.Next()
		s := register(b, m, fmt.Sprint("s", i), fmt.Sprint("l", i))
		changes(b)(s.AssignNetwork(address))
		plain.addresses[address] = s.Value()
	}
	b.Run("nsgate", func(b *testing.B) {
		for b.Loop() {
			m.GetByAddress(address)
		}
	})
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			plain.get(address)
		}
	})
}

func BenchmarkEventToThreeSubscribers(b *testing.B) {
	gate := openGate(b)
	m := openMap(b, gate)
	for _, name := range []string{"a", "b", "c"} {
		get[*nsgate.Subscription](b)(m.Subscribe(name, nsgate.Callbacks[*box]{}))
	}
	ctx := context.Background()
	i := 0
	for b.Loop() {
		b.StopTimer()
		i++
		s := register(b, m, "s", fmt.Sprint(i))
		b.StartTimer()
		s.NetworkReleased(ctx)
		b.StopTimer()
		s.MarkStopped(ctx)
		b.StartTimer()
	}
}

func BenchmarkOpenAndClose(b *testing.B) {
	chroot, volume := openChroot(b, openGate(b), nil)
	must(b, chroot.MkdirAll("a/b/c", 0o755))
	must(b, chroot.WriteFile("a/b/c/file", nil, 0o600))
	root, err := os.OpenRoot(volume)
	must(b, err)
	defer root.Close()
	b.Run("nsgate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, _ := chroot.Open("a/b/c/file")
			f.Close()
		}
	})
	b.Run("os.Root", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, _ := root.Open("a/b/c/file")
			f.Close()
		}
	})
}

func BenchmarkStat(b *testing.B) {
	chroot, volume := openChroot(b, openGate(b), nil)
	must(b, chroot.MkdirAll("a/b/c", 0o755))
	root, err := os.OpenRoot(volume)
	must(b, err)
	defer root.Close()
	b.Run("nsgate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			chroot.Stat("a/b/c")
		}
	})
	b.Run("os.Root", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			root.Stat("a/b/c")
		}
	})
}

func BenchmarkDo(b *testing.B) {
	chroot, _ := openChroot(b, openGate(b), nil)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		chroot.Do(ctx, func() error { return nil })
	}
}

func BenchmarkOpenChrootAndRelease(b *testing.B) {
	gate := openGate(b)
	volume := b.TempDir()
	b.ReportAllocs()
	for b.Loop() {
		chroot, err := gate.OpenChroot(volume, nil)
		must(b, err)
		must(b, chroot.Close())
	}
}
