//go:build linux

package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	nsgate "github.com/nsgate/nsgate/go"

	"nsgate.dev/benches/threadchroot"
)

// fileRounds are many, and their batches short: most of them fit between two time slices of whatever else
// the machine does, so the median is of undisturbed ones.
const fileRounds = 301

// measureFiles measures small operations. Beside plain os, which confines nothing, there is no goal.
func measureFiles(gate *nsgate.Gate, f *volumeFixture) error {
	chroot, err := gate.OpenChroot(f.volume(), nil)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(f.volume())
	if err != nil {
		return err
	}
	defer root.Close()
	hop, err := threadchroot.Open(f.volume(), threadchroot.Options{})
	if err != nil {
		return err
	}
	tree, err := unix.Open(f.volume(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(tree)

	for _, d := range depths {
		host, path := filepath.Join(f.volume(), d.path), d.path
		// os.Root walks the path by itself: the deeper, the longer.
		ahead := show
		if d.depth > 1 {
			ahead = faster(1)
		}
		hopGoal := faster(15)
		if d.depth != 4 {
			hopGoal = show
		}
		compare(fmt.Sprintf("open + close, depth %d", d.depth), fileRounds,
			repeat(10, func() { check(must(chroot.Open(path)).Close()) }),
			contender{"bare openat2", repeat(10, func() { check(unix.Close(must(openat2(tree, path, unix.O_RDONLY)))) }), atMost(1.5)},
			contender{"os.Root", repeat(10, func() { check(must(root.Open(path)).Close()) }), ahead},
			contender{"plain os", repeat(10, func() { check(must(os.Open(host)).Close()) }), show},
			contender{"thread per chroot", repeat(2, func() { check(must(hop.OpenFile(path, os.O_RDONLY, 0)).Close()) }), hopGoal},
		)
		hopGoal.value = 25
		compare(fmt.Sprintf("stat, depth %d", d.depth), fileRounds,
			repeat(10, func() { must(chroot.Stat(path)) }),
			contender{"bare openat2 + fstat", repeat(10, func() { check(bareStat(tree, path)) }), atMost(1.5)},
			contender{"os.Root", repeat(10, func() { must(root.Stat(path)) }), ahead},
			contender{"plain os", repeat(10, func() { must(os.Stat(host)) }), show},
			contender{"thread per chroot", repeat(2, func() { must(hop.Stat(path)) }), hopGoal},
		)
	}
	for _, d := range []struct {
		name          string
		count, rounds int
	}{{"hundred", 100, fileRounds}, {"ten-thousand", 10_000, 21}} {
		list := func(entries []fs.DirEntry, err error) {
			if len(must(entries, err)) != d.count {
				panic("entries are missing")
			}
		}
		compare(fmt.Sprintf("readdir of %d", d.count), d.rounds,
			repeat(1, func() { list(chroot.ReadDir(d.name)) }),
			contender{"os.Root", repeat(1, func() { list(fs.ReadDir(root.FS(), d.name)) }), faster(1)},
			contender{"plain os", repeat(1, func() { list(os.ReadDir(filepath.Join(f.volume(), d.name))) }), show},
			contender{"thread per chroot", repeat(1, func() { list(hop.ReadDir(d.name)) }), show},
		)
	}
	measureCreate(f, chroot, root, hop)
	if err := hop.Close(); err != nil {
		return err
	}
	if err := chroot.Close(); err != nil {
		return err
	}
	return gate.Fence(context.Background())
}

func measureCreate(f *volumeFixture, chroot *nsgate.Chroot, root *os.Root, hop *threadchroot.Chroot) {
	const path = "a/b/c/new"
	host := filepath.Join(f.volume(), path)
	compare("create + close + remove, depth 4", fileRounds,
		repeat(5, func() {
			check(must(chroot.Create(path)).Close())
			check(chroot.Remove(path))
		}),
		contender{"os.Root", repeat(5, func() {
			check(must(root.Create(path)).Close())
			check(root.Remove(path))
		}), faster(1)},
		contender{"plain os", repeat(5, func() {
			check(must(os.Create(host)).Close())
			check(os.Remove(host))
		}), show},
		contender{"thread per chroot", repeat(2, func() {
			check(must(hop.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)).Close())
			check(hop.Remove(path))
		}), show},
	)
}

// measureRemoveAll removes 10,000 files in ten directories, made anew for every round.
func measureRemoveAll(gate *nsgate.Gate, f *volumeFixture) error {
	chroot, err := gate.OpenChroot(f.volume(), nil)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(f.volume())
	if err != nil {
		return err
	}
	defer root.Close()
	doomed := filepath.Join(f.volume(), "doomed")
	remove := func(call func() error) func(*samples) {
		return func(s *samples) {
			for i := range 10 {
				check(fill(filepath.Join(doomed, fmt.Sprint(i)), 1_000))
			}
			started := time.Now()
			check(call())
			s.both(time.Since(started))
			if _, err := os.Lstat(doomed); err == nil {
				panic("something is left")
			}
		}
	}
	compare("remove_all of 10,000 files", 7,
		remove(func() error { return chroot.RemoveAll("doomed") }),
		contender{"os.Root", remove(func() error { return root.RemoveAll("doomed") }), faster(1)},
		contender{"plain os", remove(func() error { return os.RemoveAll(doomed) }), show},
	)
	if err := chroot.Close(); err != nil {
		return err
	}
	return gate.Fence(context.Background())
}

func openat2(root int, path string, flags uint64) (int, error) {
	return unix.Openat2(root, path, &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
}

func bareStat(root int, path string) error {
	fd, err := openat2(root, path, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	return unix.Fstat(fd, &stat)
}
