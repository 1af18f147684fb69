//go:build linux && cgo

package nsgate_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	nsgate "github.com/nsgate/nsgate/go"
)

func TestFSPassesTheTestsOfPackageFstest(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	must(t, chroot.MkdirAll("dir/sub/deep", 0o755))
	must(t, chroot.WriteFile("dir/file", []byte("text"), 0o644))
	must(t, chroot.WriteFile("dir/sub/empty", nil, 0o644))
	must(t, chroot.Symlink("dir/file", "link"))
	must(t, chroot.Symlink("/dir/sub", "dirlink"))
	for i := range 100 {
		must(t, chroot.WriteFile(fmt.Sprintf("dir/sub/deep/%03d", i), nil, 0o644))
	}
	must(t, fstest.TestFS(chroot.FS(), "dir/file", "dir/sub/empty", "dir/sub/deep/099", "link"))

	sub := get[fs.FS](t)(fs.Sub(chroot.FS(), "dir"))
	equal(t, string(get[[]byte](t)(fs.ReadFile(sub, "file"))), "text")
	for _, name := range []string{"/dir", "../dir", "dir/", "", "a\x00"} {
		if _, err := chroot.FS().Open(name); err == nil {
			t.Errorf("%q was opened", name)
		}
	}
}

func TestFSImplementsTheInterfacesOfPackageFs(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	fsys := chroot.FS()
	if _, ok := fsys.(fs.StatFS); !ok {
		t.Error("no StatFS")
	}
	if _, ok := fsys.(fs.ReadDirFS); !ok {
		t.Error("no ReadDirFS")
	}
	if _, ok := fsys.(fs.ReadFileFS); !ok {
		t.Error("no ReadFileFS")
	}
	// fs.ReadLinkFS, which Go has since 1.25.
	if _, ok := fsys.(interface {
		ReadLink(string) (string, error)
		Lstat(string) (fs.FileInfo, error)
	}); !ok {
		t.Error("no ReadLinkFS")
	}
}

func TestADirectorysEntriesAreLookedUpInside(t *testing.T) {
	gate := openGate(t)
	chroot, _ := openChroot(t, gate, nil)
	must(t, chroot.Mkdir("etc", 0o755))
	must(t, chroot.WriteFile("etc/passwd", []byte("inside"), 0o600))
	dir, err := chroot.FS().Open("etc")
	must(t, err)
	defer dir.Close()
	entries := get[[]fs.DirEntry](t)(dir.(fs.ReadDirFile).ReadDir(-1))
	equal(t, len(entries), 1)
	info := get[fs.FileInfo](t)(entries[0].Info())
	equal(t, info.Size(), int64(len("inside")))
}

// TestADirectorysEntriesAreReadByItsDescriptor: package os would look some of them up by path, on the host.
func TestADirectorysEntriesAreReadByItsDescriptor(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	must(t, chroot.Mkdir("etc", 0o755))
	const files = 1000
	for i := range files {
		must(t, chroot.WriteFile(fmt.Sprintf("etc/%s-%04d", "a rather long name, for several buffers", i), nil, 0o600))
	}
	dir := get[fs.File](t)(chroot.FS().Open("etc")).(fs.ReadDirFile)
	if _, ok := dir.(interface {
		Readdir(n int) ([]fs.FileInfo, error)
	}); ok {
		t.Error("Readdir has no way to tell which entry it could not look up")
	}
	entries := get[[]fs.DirEntry](t)(dir.ReadDir(1))
	equal(t, len(entries), 1)
	must(t, chroot.Rename("etc", "moved"))
	failsWith(t, second(entries[0].Info()), fs.ErrNotExist)
	must(t, chroot.Close())
	failsWith(t, second(entries[0].Info()), nsgate.ErrClosed)
	for {
		more, err := dir.ReadDir(7)
		entries = append(entries, more...)
		if err != nil {
			equal(t, err, io.EOF)
			break
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	entries = slices.CompactFunc(entries, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() })
	equal(t, len(entries), files)
	equal(t, entries[0].Type(), 0)
	must(t, dir.Close())
	failsWith(t, second(dir.ReadDir(-1)), fs.ErrClosed)
}

func TestReadDirListsSortedAndWithTypes(t *testing.T) {
	chroot, volume := openChroot(t, openGate(t), nil)
	must(t, chroot.WriteFile("b", []byte("12345"), 0o600))
	must(t, chroot.Mkdir("a", 0o755))
	must(t, chroot.Symlink("b", "c"))
	ours := get[[]fs.DirEntry](t)(chroot.ReadDir("/"))
	theirs := get[[]os.DirEntry](t)(os.ReadDir(volume))
	equal(t, len(ours), len(theirs))
	for i := range ours {
		equal(t, ours[i].Name(), theirs[i].Name())
		equal(t, ours[i].Type(), theirs[i].Type())
		equal(t, fs.FormatDirEntry(ours[i]), fs.FormatDirEntry(theirs[i]))
		equal(t, fs.FormatFileInfo(get[fs.FileInfo](t)(ours[i].Info())), fs.FormatFileInfo(get[fs.FileInfo](t)(theirs[i].Info())))
	}
	infos := get[[]fs.FileInfo](t)(chroot.ReadDirInfo("."))
	equal(t, len(infos), 3)
	equal(t, infos[1].Size(), 5)
	failsWith(t, second(chroot.ReadDir("none")), fs.ErrNotExist)
}

func TestEntriesThatCantBeLookedAtAreTold(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	must(t, chroot.MkdirAll("dir/inside", 0o755))
	must(t, chroot.Chmod("dir", 0o444)) // may be read but not searched
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		if err := dropFileRights(); err != nil {
			t.Error(err)
			return
		}
		entries, err := chroot.ReadDir("dir")
		if err != nil || len(entries) != 1 || !entries[0].IsDir() {
			t.Errorf("%v, %v", entries, err)
		}
		infos, err := chroot.ReadDirInfo("dir")
		if len(infos) != 0 || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v, %v", infos, err)
		}
	}()
	<-done
}

func TestEntriesStreamALargeDirectory(t *testing.T) {
	chroot, volume := openChroot(t, openGate(t), nil)
	for i := range 3000 {
		must(t, os.WriteFile(filepath.Join(volume, fmt.Sprintf("%s-%04d", "a rather long name, so that it takes several buffers", i)), nil, 0o600))
	}
	var names []string
	for entry, err := range chroot.Entries(".") {
		must(t, err)
		names = append(names, entry.Name())
	}
	slices.Sort(names)
	equal(t, len(slices.Compact(names)), 3000)
	for range chroot.Entries(".") {
		break // closes it
	}
}

func TestStatfsTellsOfTheFileSystem(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	stat := get[nsgate.Statfs](t)(chroot.Statfs("/"))
	equal(t, stat.NameLength, 255)
	if stat.Blocks == 0 || stat.BlockSize <= 0 {
		t.Errorf("%+v", stat)
	}
}
