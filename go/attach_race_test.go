//go:build linux && cgo

package nsgate_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	nsgate "github.com/nsgate/nsgate/go"
)

// TestAttachAndReleaseRace has two goroutines attach chroots to lives whose network another releases: a
// million attachments in the long version. Each chroot is released once, by the sandbox, or else by whom
// the sandbox refused it.
func TestAttachAndReleaseRace(t *testing.T) {
	const attachers, lives = 2, 100
	batches := 30
	switch {
	case testing.Short():
		batches = 3
	case long:
		batches = 1_000_000 / attachers / lives
	}
	ctx := context.Background()
	gate := openGate(t, nsgate.WithCapacity(1000))
	m := openMap(t, gate)
	volume := t.TempDir()
	var attached, refused atomic.Uint64
	attach := func(s *nsgate.Sandbox[*box], chroot *nsgate.Chroot) {
		err := s.Attach(chroot)
		if err == nil {
			attached.Add(1)
			return
		}
		refused.Add(1)
		failsWith(t, err, nsgate.ErrClosed)
		if err := chroot.Close(); err != nil {
			t.Error(err)
		}
	}
	for batch := range batches {
		var sandboxes [lives]*nsgate.Sandbox[*box]
		var chroots [attachers][lives]*nsgate.Chroot
		for place := range sandboxes {
			sandboxes[place] = register(t, m, "s", fmt.Sprint(batch, " ", place))
			for i := range chroots {
				chroots[i][place] = get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil))
			}
		}
		// At each life they wait for one another, so that attaching and releasing meet.
		var progress [attachers + 1]atomic.Int64
		meet := func(own, place int) {
			progress[own].Store(int64(place) + 1)
			for other := range progress {
				for progress[other].Load() <= int64(place) {
					runtime.Gosched()
				}
			}
		}
		var all group
		for i := range attachers {
			all.Go(func() {
				for place, s := range sandboxes {
					meet(i, place)
					attach(s, chroots[i][place])
				}
			})
		}
		for place, s := range sandboxes {
			meet(attachers, place)
			changes(t)(s.NetworkReleased(ctx))
		}
		all.Wait()
		for _, s := range sandboxes {
			changes(t)(s.MarkStopped(ctx))
		}
		must(t, gate.Fence(limited(t)))
	}
	stats := get[nsgate.Stats](t)(gate.Stats())
	equal(t, stats.Released, uint64(attachers*lives*batches))
	equal(t, stats.Reserved, 0)
	equal(t, attached.Load()+refused.Load(), stats.Released)
	equal(t, m.Lifecycles(), 0)
	t.Logf("%d attached, %d refused", attached.Load(), refused.Load())
}
