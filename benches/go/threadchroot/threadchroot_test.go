//go:build linux

package threadchroot

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOperationsStayInside(t *testing.T) {
	for _, options := range []Options{{}, {OldRootDirectory: true}} {
		volume := t.TempDir()
		if err := os.WriteFile(filepath.Join(volume, "inside"), []byte("1"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Open(volume, options)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := c.Stat("/inside"); err != nil || info.Size() != 1 {
			t.Errorf("stat of /inside: %v, %v", info, err)
		}
		if _, err := c.Stat(volume); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the host's path is visible inside: %v", err)
		}
		if entries, err := c.ReadDir("/"); err != nil || len(entries) != 1 {
			t.Errorf("readdir of /: %v, %v", entries, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := c.Close(); !errors.Is(err, ErrClosed) {
			t.Errorf("second close: %v", err)
		}
		if err := c.Remove("/inside"); !errors.Is(err, ErrClosed) {
			t.Errorf("remove after close: %v", err)
		}
	}
}

func TestThreadsComeBack(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Readlink("/proc/thread-self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		c, err := Open(t.TempDir(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		namespace, err := os.Readlink("/proc/self/task/" + task.Name() + "/ns/mnt")
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil || namespace != home {
			t.Errorf("thread %s is in %s, %v; the process in %s", task.Name(), namespace, err, home)
		}
	}
}
