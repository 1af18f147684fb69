//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// volumeFixture is the volume that is measured on: a tmpfs, mounted in the benchmark's own namespace.
type volumeFixture struct{ scratch string }

// depths are paths of one file at depth 1, 4 and 16, relative to the volume.
var depths = []struct {
	depth int
	path  string
}{
	{1, "file"},
	{4, "a/b/c/file"},
	{16, "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/file"},
}

func newFixture() (*volumeFixture, error) {
	scratch, err := os.MkdirTemp("", "nsgate-bench.")
	if err != nil {
		return nil, err
	}
	f := &volumeFixture{scratch}
	if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, ""); err != nil {
		return nil, errors.Join(fmt.Errorf("mount of a tmpfs: %w", err), os.Remove(scratch))
	}
	if err := f.fill(); err != nil {
		return nil, errors.Join(err, f.remove())
	}
	return f, nil
}

func (f *volumeFixture) fill() error {
	for _, d := range depths {
		path := filepath.Join(f.volume(), d.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
			return err
		}
	}
	for name, count := range map[string]int{"hundred": 100, "ten-thousand": 10_000} {
		if err := fill(filepath.Join(f.volume(), name), count); err != nil {
			return err
		}
	}
	return nil
}

// fill makes a directory with count empty files.
func fill(directory string, count int) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	for i := range count {
		if err := os.WriteFile(filepath.Join(directory, fmt.Sprintf("entry-%05d", i)), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (f *volumeFixture) volume() string { return filepath.Join(f.scratch, "volume") }

// fillMountTable adds bind mounts, on a mount of their own, until the namespace has count mounts, and
// says how many it has.
func (f *volumeFixture) fillMountTable(count int) (int, error) {
	directory := filepath.Join(f.scratch, "elsewhere")
	if err := os.Mkdir(directory, 0o755); err == nil {
		if err := unix.Mount("tmpfs", directory, "tmpfs", 0, ""); err != nil {
			return 0, fmt.Errorf("mount of a tmpfs: %w", err)
		}
	} else if !errors.Is(err, os.ErrExist) {
		return 0, err
	}
	present, err := mounts()
	if err != nil {
		return 0, err
	}
	for i := present; i < count; i++ {
		target := filepath.Join(directory, fmt.Sprint(i))
		if err := os.Mkdir(target, 0o755); err != nil {
			return 0, err
		}
		if err := unix.Mount(target, target, "", unix.MS_BIND, ""); err != nil {
			return 0, fmt.Errorf("bind mount %d: %w", i, err)
		}
	}
	return mounts()
}

func mounts() (int, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	return strings.Count(string(text), "\n"), err
}

// remove removes the directory on the host; the mounts end with the namespace.
func (f *volumeFixture) remove() error {
	if err := unix.Unmount(f.scratch, unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Remove(f.scratch)
}
