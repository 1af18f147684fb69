//go:build linux && cgo

package nsgate_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	nsgate "github.com/nsgate/nsgate/go"
)

// mountVolume mounts a file system of its own with a file "marker" in it, which is unmounted after the
// test's gate is closed: nobody may use it then.
func mountVolume(t *testing.T, options string) string {
	t.Helper()
	volume := t.TempDir()
	must(t, syscall.Mount("volume", volume, "tmpfs", 0, options))
	must(t, os.WriteFile(filepath.Join(volume, "marker"), []byte("inside"), 0o600))
	t.Cleanup(func() { must(t, syscall.Unmount(volume, 0)) })
	return volume
}

// contents is what a directory has in it, with all times but that of the last access.
func contents(t testing.TB, dir string) (seen string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		seen += fmt.Sprintln(path, stat.Ino, info.Mode(), stat.Nlink, info.Size(), stat.Mtim, stat.Ctim)
		return nil
	}))
	return seen
}

func TestVolumesThatNothingCanBeWrittenTo(t *testing.T) {
	for name, c := range map[string]struct {
		options string
		fill    func(t *testing.T, volume string)
		errno   syscall.Errno
	}{
		"read-only": {"", func(t *testing.T, volume string) {
			must(t, syscall.Mount("", volume, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		}, syscall.EROFS},
		"full": {"size=64k", func(t *testing.T, volume string) {
			failsWith(t, os.WriteFile(filepath.Join(volume, "filler"), make([]byte, 1<<20), 0o600), syscall.ENOSPC)
		}, syscall.ENOSPC},
		"without inodes": {"nr_inodes=4", func(t *testing.T, volume string) {
			var err error
			for i := 0; err == nil && i < 10; i++ {
				err = os.WriteFile(filepath.Join(volume, fmt.Sprint(i)), nil, 0o600)
			}
			failsWith(t, err, syscall.ENOSPC)
		}, syscall.ENOSPC},
	} {
		t.Run(name, func(t *testing.T) {
			volume := mountVolume(t, c.options)
			c.fill(t, volume)
			before := contents(t, volume)
			gate := openGate(t)
			chroot := get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil))
			equal(t, string(get[[]byte](t)(chroot.ReadFile("marker"))), "inside")
			get[fs.FileInfo](t)(chroot.Stat("/"))
			get[[]fs.DirEntry](t)(chroot.ReadDir("/"))
			must(t, chroot.Do(context.Background(), func() error {
				text, err := os.ReadFile("/marker")
				if err == nil && string(text) != "inside" {
					err = fmt.Errorf("read %q", text)
				}
				return err
			}))
			ticket := get[nsgate.Ticket](t)(chroot.Release())
			equal(t, get[nsgate.Event](t)(ticket.Wait(limited(t))).Outcome, nsgate.OutcomeReleased)
			equal(t, contents(t, volume), before)

			chroot = get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil))
			failsWith(t, chroot.WriteFile("new", make([]byte, 1<<20), 0o600), c.errno)
			failsWith(t, chroot.Do(context.Background(), func() error {
				return os.WriteFile("/inside", make([]byte, 1<<20), 0o600)
			}), c.errno)
			must(t, chroot.Close())
		})
	}
}
