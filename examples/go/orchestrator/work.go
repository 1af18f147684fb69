package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"

	nsgate "github.com/nsgate/nsgate/go"
)

// work counts what was done in the volumes.
type work struct{ operations, jobs atomic.Int64 }

type workTotal struct{ operations, jobs int64 }

func (w *work) total() workTotal { return workTotal{w.operations.Load(), w.jobs.Load()} }

// inVolume reads and writes as a sandbox's client does, by operations of the chroot and by code that
// has the volume as "/", and checks that both see the same, and nothing of the host.
func (w *work) inVolume(ctx context.Context, chroot *nsgate.Chroot, hostname string) error {
	done := func() { w.operations.Add(1) }
	text, err := chroot.ReadFile("/hostname") // a link to /etc/hostname, the volume's
	if err != nil {
		return err
	}
	if string(text) != hostname+"\n" {
		return fmt.Errorf("%s: the host name is %q, not %q", chroot.Name(), text, hostname)
	}
	done()
	text, err = chroot.ReadFile("/home/user/out") // as many ".." as it likes
	if err != nil {
		return err
	}
	if string(text) != "root:x:0:0:root:/root:/bin/sh\n" {
		return fmt.Errorf("%s: a link led out of the volume", chroot.Name())
	}
	done()
	if err := chroot.MkdirAll("/var/run/session", 0o755); err != nil {
		return err
	}
	done()
	for i := range 10 {
		name := fmt.Sprintf("/var/run/session/record-%d", i)
		if err := chroot.WriteFile(name, []byte("record\n"), 0o644); err != nil {
			return err
		}
		if _, err := chroot.Stat(name); err != nil {
			return err
		}
		done()
		done()
	}
	if err := chroot.Rename("/var/run/session/record-0", "/var/run/session/first"); err != nil {
		return err
	}
	done()

	var inside int
	err = chroot.Do(ctx, func() error {
		// Plain os calls: "/" is the volume here.
		if _, err := os.Stat("/proc/self"); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the host's /proc is visible inside: %w", err)
		}
		entries, err := os.ReadDir("/var/run/session")
		inside = len(entries)
		return errors.Join(err, os.WriteFile("/var/run/session/from-inside", []byte("inside\n"), 0o644))
	})
	if err != nil {
		return fmt.Errorf("%s: %w", chroot.Name(), err)
	}
	w.jobs.Add(1)
	entries, err := chroot.ReadDir("/var/run/session")
	if err != nil {
		return err
	}
	if inside != 10 || len(entries) != 11 {
		return fmt.Errorf("%s: %d entries seen inside, %d outside", chroot.Name(), inside, len(entries))
	}
	done()
	return nil
}
