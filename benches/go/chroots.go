//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	nsgate "github.com/nsgate/nsgate/go"

	"nsgate.dev/benches/threadchroot"
)

// measureRun measures code inside: the first time in a chroot, and later.
func measureRun(gate *nsgate.Gate, f *volumeFixture) error {
	ctx := context.Background()
	nothing := func() error { return nil }
	chroot, err := gate.OpenChroot(f.volume(), nil)
	if err != nil {
		return err
	}
	hop, err := threadchroot.Open(f.volume(), threadchroot.Options{})
	if err != nil {
		return err
	}
	compare("later Do", 301,
		repeat(2, func() { check(chroot.Do(ctx, nothing)) }),
		contender{"thread per chroot", repeat(2, func() { check(hop.Do(nothing)) }), show},
	)
	if err := hop.Close(); err != nil {
		return err
	}
	compare("open + first Do", 101,
		each(5, func(int) func() {
			return func() {
				c := must(gate.OpenChroot(f.volume(), nil))
				check(c.Do(ctx, nothing))
				check(c.Close())
			}
		}, func() { check(gate.Fence(ctx)) }),
		contender{"thread per chroot", each(5, func(int) func() {
			return func() {
				c := must(threadchroot.Open(f.volume(), threadchroot.Options{}))
				check(c.Do(nothing))
				check(c.Close())
			}
		}, func() {}), faster(5)},
	)
	if err := chroot.Close(); err != nil {
		return err
	}
	return gate.Fence(ctx)
}

// measureOpen measures what opening a chroot and getting rid of it cost the caller: back to back, while
// the releases of those before go on, and alone, as mounts come in production: with nothing under way.
func measureOpen(gate *nsgate.Gate, f *volumeFixture) error {
	ctx := context.Background()
	for _, d := range []struct {
		mounts, rounds, theirs int
		goal                   float64
	}{{20, 101, 5, 40}, {2_000, 31, 1, 500}} {
		count, err := f.fillMountTable(d.mounts)
		if err != nil {
			return err
		}
		compare(fmt.Sprintf("open + release, %d mounts", count), d.rounds,
			each(20, func(int) func() {
				return func() { check(must(gate.OpenChroot(f.volume(), nil)).Close()) }
			}, func() { check(gate.Fence(ctx)) }),
			// The floor: no library can be faster than this from Go.
			contender{"bare open_tree + setattr", bareOpens(f.volume()), show},
			contender{"thread per chroot", func(s *samples) {
				for range d.theirs {
					started := time.Now()
					check(must(threadchroot.Open(f.volume(), threadchroot.Options{})).Close())
					s.both(time.Since(started))
				}
			}, faster(d.goal)},
		)
		alone := func(batch int, operation func()) func(*samples) {
			return func(s *samples) {
				for range batch {
					check(gate.Fence(ctx))
					started := time.Now()
					operation()
					s.both(time.Since(started))
				}
			}
		}
		compare(fmt.Sprintf("open + release alone, %d mounts", count), d.rounds,
			alone(5, func() { check(must(gate.OpenChroot(f.volume(), nil)).Close()) }),
			contender{"thread per chroot", alone(d.theirs, func() {
				check(must(threadchroot.Open(f.volume(), threadchroot.Options{})).Close())
			}), faster(d.goal)},
		)
	}
	return nil
}

// bareOpens makes detached trees as an open does, by the two system calls that nobody can do without,
// and closes them outside the clock.
func bareOpens(volume string) func(*samples) {
	var trees []int
	return each(20, func(int) func() {
		return func() {
			tree := must(unix.OpenTree(unix.AT_FDCWD, volume, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE))
			check(unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{
				Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV, Propagation: unix.MS_PRIVATE,
			}))
			trees = append(trees, tree)
		}
	}, func() {
		for _, tree := range trees {
			check(unix.Close(tree))
		}
		trees = trees[:0]
	})
}
