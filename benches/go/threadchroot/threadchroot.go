//go:build linux

// Package threadchroot is the design that nsgate is measured against: a chroot is a locked OS thread
// that lives in a mount namespace of its own, whose root is the volume.
//
// Every operation hops to that thread over a channel and waits behind the others; Close waits until
// the thread is back in the host's namespace. It is written as its users write it, not to look bad:
// one channel send and one receive per operation, no allocation that the design doesn't need.
package threadchroot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrClosed is what operations on a closed chroot answer.
var ErrClosed = errors.New("threadchroot: closed")

// OldRoot is the directory that pivot_root puts the host's root on, made in the volume and removed
// again, if Options ask for it.
const OldRoot = ".old-root"

// Options choose how the root changes.
type Options struct {
	// OldRootDirectory makes a directory in the volume for pivot_root, as most users do. Without it
	// pivot_root(".", ".") stacks the old root on the new one.
	OldRootDirectory bool
}

// Chroot is a thread inside a volume.
type Chroot struct {
	jobs      chan job
	closeOnce sync.Once
	closed    chan struct{} // no new jobs
	gone      chan error    // the thread's last word
}

type job struct {
	run    func() error
	answer chan error
}

// Open starts a thread and makes volume its root.
func Open(volume string, options Options) (*Chroot, error) {
	c := &Chroot{jobs: make(chan job), closed: make(chan struct{}), gone: make(chan error, 1)}
	ready := make(chan error)
	go c.live(volume, options, ready)
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("threadchroot %s: %w", volume, err)
	}
	return c, nil
}

func (c *Chroot) live(volume string, options Options, ready chan<- error) {
	// Unlocked only after a complete way back; otherwise the thread dies with its goroutine.
	runtime.LockOSThread()
	home, err := enter(volume, options)
	ready <- err
	if err != nil {
		return
	}
	for {
		select {
		case j := <-c.jobs:
			j.answer <- j.run()
		case <-c.closed:
			err := leave(home)
			if err == nil {
				runtime.UnlockOSThread()
			}
			c.gone <- err
			return
		}
	}
}

func enter(volume string, options Options) (home int, err error) {
	home, err = unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open of the namespace: %w", err)
	}
	if err := change(volume, options); err != nil {
		unix.Close(home)
		return -1, err
	}
	return home, nil
}

func change(volume string, options Options) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount rslave: %w", err)
	}
	if err := unix.Mount(volume, volume, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if options.OldRootDirectory {
		return pivotOverDirectory(volume)
	}
	if err := unix.Chdir(volume); err != nil {
		return fmt.Errorf("chdir: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach of the old root: %w", err)
	}
	return unix.Chdir("/")
}

func pivotOverDirectory(volume string) error {
	old := filepath.Join(volume, OldRoot)
	if err := unix.Mkdir(old, 0o700); err != nil && err != unix.EEXIST {
		return fmt.Errorf("mkdir %s: %w", old, err)
	}
	if err := unix.PivotRoot(volume, old); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("chdir: %w", err)
	}
	if err := unix.Unmount("/"+OldRoot, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach of the old root: %w", err)
	}
	return unix.Rmdir("/" + OldRoot)
}

func leave(home int) error {
	defer unix.Close(home)
	if err := unix.Setns(home, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	return nil
}

var answers = sync.Pool{New: func() any { return make(chan error, 1) }}

// Do runs f on the chroot's thread.
func (c *Chroot) Do(f func() error) error {
	answer := answers.Get().(chan error)
	select {
	case c.jobs <- job{f, answer}:
		err := <-answer
		answers.Put(answer)
		return err
	case <-c.closed:
		answers.Put(answer)
		return ErrClosed
	}
}

// OpenFile opens a file inside.
func (c *Chroot) OpenFile(name string, flags int, mode os.FileMode) (file *os.File, err error) {
	err = c.Do(func() (err error) {
		file, err = os.OpenFile(name, flags, mode)
		return err
	})
	return file, err
}

// Stat describes a file inside.
func (c *Chroot) Stat(name string) (info os.FileInfo, err error) {
	err = c.Do(func() (err error) {
		info, err = os.Stat(name)
		return err
	})
	return info, err
}

// ReadDir lists a directory inside.
func (c *Chroot) ReadDir(name string) (entries []os.DirEntry, err error) {
	err = c.Do(func() (err error) {
		entries, err = os.ReadDir(name)
		return err
	})
	return entries, err
}

// Remove removes a file or an empty directory inside.
func (c *Chroot) Remove(name string) error {
	return c.Do(func() error { return os.Remove(name) })
}

// Close refuses new operations and waits until the thread is back in the host's namespace, with which
// the volume's namespace and its mounts are gone.
func (c *Chroot) Close() error {
	err := ErrClosed
	c.closeOnce.Do(func() {
		close(c.closed)
		err = <-c.gone
	})
	return err
}
