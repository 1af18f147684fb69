//go:build linux && cgo

package nsgate_test

import (
	"io/fs"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// TestWhatHangsInAnOpenFileIsUnderWay: reading, writing and describing it keep a thread as opening does.
func TestWhatHangsInAnOpenFileIsUnderWay(t *testing.T) {
	volume := openFuseVolume(t)
	gate := openGate(t, nsgate.WithFileOperations(1, 1, 0))
	chroot := get[*nsgate.Chroot](t)(gate.OpenChroot(volume.path, nil))
	defer chroot.Close()
	for _, hanging := range []struct {
		name string
		in   uint32
		call func() error
	}{
		{"ReadFile", fuseRead, func() error {
			text, err := chroot.ReadFile("data")
			equal(t, string(text), fuseText)
			return err
		}},
		{"WriteFile", fuseWrite, func() error { return chroot.WriteFile("data", []byte(fuseText), 0o600) }},
		{"Close of WriteFile", fuseFlush, func() error { return chroot.WriteFile("data", nil, 0o600) }},
		{"FS().Open", fuseGetattr, func() error {
			file, err := chroot.FS().Open("data")
			if err == nil {
				err = file.Close()
			}
			return err
		}},
	} {
		volume.hold(hanging.in)
		ended := make(chan error, 1)
		go func() { ended <- hanging.call() }()
		select {
		case <-volume.asked:
		case <-time.After(patience):
			t.Fatal(hanging.name, "does not hang")
		}
		if n := gate.UnderWay(); n != 1 {
			t.Errorf("while %s hangs %d operations are under way", hanging.name, n)
		}
		failsWith(t, second(chroot.Lstat("/")), nsgate.ErrFull)
		volume.let <- struct{}{}
		must(t, <-ended)
		equal(t, gate.UnderWay(), 0)
	}
}

// TestEntriesOfUnknownTypeAreLookedUpInside: their file system doesn't tell, and package os would look for
// "data" where the process is.
func TestEntriesOfUnknownTypeAreLookedUpInside(t *testing.T) {
	volume := openFuseVolume(t)
	chroot := get[*nsgate.Chroot](t)(openGate(t).OpenChroot(volume.path, nil))
	defer chroot.Close()
	dir := get[fs.File](t)(chroot.FS().Open("."))
	defer dir.Close()
	for _, list := range []func() ([]fs.DirEntry, error){
		func() ([]fs.DirEntry, error) { return dir.(fs.ReadDirFile).ReadDir(-1) },
		func() ([]fs.DirEntry, error) { return chroot.ReadDir(".") },
	} {
		entries := get[[]fs.DirEntry](t)(list())
		equal(t, len(entries), 1)
		equal(t, entries[0].Name(), "data")
		equal(t, entries[0].Type(), 0)
		info := get[fs.FileInfo](t)(entries[0].Info())
		equal(t, info.Size(), int64(len(fuseText)))
	}
}
