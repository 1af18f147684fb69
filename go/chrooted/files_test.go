//go:build linux && cgo

package chrooted_test

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/chrooted"
)

func TestAChrootKnowsItsRootAndItsMetadata(t *testing.T) {
	c, source := open(t, chrooted.WithMetadata("volume-id", "7"), chrooted.WithMetadata("team", "a"))
	equal(t, c.ActualRoot, source)
	equal(t, c.Root(), source)
	equal(t, len(c.Metadata), 2)
	equal(t, c.Metadata["volume-id"], "7")
	plain, _ := open(t)
	if plain.Metadata != nil {
		t.Errorf("there is metadata: %v", plain.Metadata)
	}
	// An option of the caller's own, as it always could be written.
	own, _ := open(t, func(c *chrooted.Chrooted) { c.ActualRoot = "/elsewhere" })
	equal(t, own.Root(), "/elsewhere")
}

func TestWhatCanNotBeOpened(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	ctx := context.Background()
	failsWith(t, second(chrooted.Chroot(ctx, filepath.Join(dir, "none"))), fs.ErrNotExist)
	failsWith(t, second(chrooted.Chroot(ctx, file)), syscall.ENOTDIR)
	over, cancel := context.WithCancel(ctx)
	cancel()
	failsWith(t, second(chrooted.Chroot(over, dir)), context.Canceled)
	gate := openGate(t, nsgate.WithCapacity(1))
	one := get[*chrooted.Chrooted](t)(chrooted.Chroot(ctx, dir, chrooted.WithGate(gate)))
	failsWith(t, second(chrooted.Chroot(ctx, dir, chrooted.WithGate(gate))), nsgate.ErrFull)
	must(t, one.Close())
}

func TestTwoVolumesAreIsolated(t *testing.T) {
	one, source := open(t)
	two, _ := open(t)
	equal(t, len(get[[]os.FileInfo](t)(one.ReadDir("/"))), 0)
	file := get[*os.File](t)(one.OpenFile("/test.txt", os.O_CREATE|os.O_WRONLY, 0o644))
	get[int](t)(io.WriteString(file, "hello"))
	must(t, file.Close())
	file = get[*os.File](t)(one.Open("test.txt"))
	equal(t, string(get[[]byte](t)(io.ReadAll(file))), "hello")
	must(t, file.Close())
	equal(t, string(get[[]byte](t)(os.ReadFile(filepath.Join(source, "test.txt")))), "hello")
	failsWith(t, second(two.Open("/test.txt")), fs.ErrNotExist)
	failsWith(t, second(two.Open(filepath.Join(source, "test.txt"))), fs.ErrNotExist)
	failsWith(t, second(two.Open("/../../../../etc/passwd")), fs.ErrNotExist)
}

func TestFilesAndDirectories(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	c, source := open(t)
	must(t, c.Mkdir("/dir", 0o751))
	equal(t, get[os.FileInfo](t)(c.Stat("/dir")).Mode(), fs.ModeDir|0o751)
	failsWith(t, c.Mkdir("/dir", 0o751), fs.ErrExist)
	must(t, c.MkdirAll("/a/b/c", 0o755))
	must(t, c.MkdirAll("/a/b/c", 0o755))

	file := get[*os.File](t)(c.Create("/a/file"))
	equal(t, file.Name(), "/a/file")
	get[int](t)(file.WriteString("content"))
	must(t, file.Close())
	info := get[os.FileInfo](t)(c.Stat("/a/file"))
	equal(t, info.Name(), "file")
	equal(t, info.Size(), 7)
	theirs := get[os.FileInfo](t)(os.Stat(filepath.Join(source, "a/file")))
	equal(t, *info.Sys().(*syscall.Stat_t), *theirs.Sys().(*syscall.Stat_t))
	equal(t, info.Mode(), theirs.Mode())

	must(t, c.Rename("/a/file", "/a/moved"))
	failsWith(t, second(c.Stat("/a/file")), fs.ErrNotExist)
	infos := get[[]os.FileInfo](t)(c.ReadDir("/a"))
	equal(t, len(infos), 2)
	equal(t, infos[0].Name(), "b")
	equal(t, infos[1].Name(), "moved")
	equal(t, infos[1].Size(), 7)
	equal(t, infos[1].Sys().(*syscall.Stat_t).Nlink, 1)
	if infos, err := c.ReadDir("/none"); infos != nil || !os.IsNotExist(err) {
		t.Errorf("got %v, %v", infos, err)
	}

	failsWith(t, c.Remove("/a"), syscall.ENOTEMPTY)
	must(t, c.Remove("/a/moved"))
	must(t, c.RemoveAll("/a"))
	must(t, c.RemoveAll("/a"))
	equal(t, len(get[[]os.DirEntry](t)(os.ReadDir(source))), 1)
}

func TestSymbolicLinks(t *testing.T) {
	c, source := open(t)
	must(t, c.MkdirAll("/a/b", 0o755))
	must(t, c.Symlink("/a/b", "/link"))
	equal(t, get[string](t)(c.Readlink("/link")), "/a/b")
	equal(t, get[string](t)(os.Readlink(filepath.Join(source, "link"))), "/a/b")
	equal(t, get[string](t)(c.EvalSymlinks("/link")), "/a/b")
	equal(t, get[string](t)(c.EvalSymlinks("link")), "/a/b")
	equal(t, get[string](t)(c.EvalSymlinks("/link/../../..")), "/")
	equal(t, get[os.FileInfo](t)(c.Lstat("/link")).Mode().Type(), fs.ModeSymlink)
	equal(t, get[os.FileInfo](t)(c.Stat("/link")).IsDir(), true)
	failsWith(t, second(c.Readlink("/a")), syscall.EINVAL)
	failsWith(t, second(c.EvalSymlinks("/none")), fs.ErrNotExist)
}

func TestAttributes(t *testing.T) {
	c, _ := open(t)
	must(t, get[*os.File](t)(c.Create("/file")).Close())
	must(t, c.Symlink("file", "/link"))
	must(t, c.Chmod("/link", 0o640|fs.ModeSetgid))
	equal(t, get[os.FileInfo](t)(c.Stat("/file")).Mode(), 0o640|fs.ModeSetgid)

	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 && mapsAllUsers(t) {
		uid, gid = 1234, 5678
	}
	must(t, c.Chown("/link", uid, gid))
	owner := func(info os.FileInfo, err error) [2]int {
		stat := get[os.FileInfo](t)(info, err).Sys().(*syscall.Stat_t)
		return [2]int{int(stat.Uid), int(stat.Gid)}
	}
	equal(t, owner(c.Stat("/file")), [2]int{uid, gid})
	equal(t, owner(c.Lstat("/link")), [2]int{os.Getuid(), os.Getgid()})
	must(t, c.Lchown("/link", uid, -1))
	equal(t, owner(c.Lstat("/link")), [2]int{uid, os.Getgid()})

	old := time.Date(1931, 5, 4, 3, 2, 1, 123456789, time.UTC)
	must(t, c.Chtimes("/link", old, old))
	if got := get[os.FileInfo](t)(c.Stat("/file")).ModTime(); !got.Equal(old) {
		t.Errorf("modified %v, want %v", got, old)
	}
	for _, err := range []error{c.Chmod("/no", 0), c.Chown("/no", 0, 0), c.Lchown("/no", 0, 0), c.Chtimes("/no", old, old)} {
		failsWith(t, err, fs.ErrNotExist)
	}
}

// mapsAllUsers tells whether this is no user namespace that knows but one user.
func mapsAllUsers(t *testing.T) bool {
	return strings.Contains(string(get[[]byte](t)(os.ReadFile("/proc/self/uid_map"))), "4294967295")
}

func TestTemporaryFiles(t *testing.T) {
	c, _ := open(t)
	failsWith(t, second(c.TempFile("", "pre")), fs.ErrNotExist) // there is no /tmp
	must(t, c.Mkdir("/tmp", 0o700))
	for _, dir := range []string{"", "/tmp"} {
		file := get[*os.File](t)(c.TempFile(dir, "pre-*.suf"))
		if name := file.Name(); !strings.HasPrefix(name, "/tmp/pre-") || !strings.HasSuffix(name, ".suf") {
			t.Errorf("the file is called %s", name)
		}
		get[int](t)(file.WriteString("x"))
		must(t, file.Close())
		equal(t, get[os.FileInfo](t)(c.Stat(file.Name())).Size(), 1)
	}
}

func TestJoinedPathsAreAbsolute(t *testing.T) {
	c, _ := open(t)
	for want, parts := range map[string][]string{
		"/":    {},
		"/a":   {"a"},
		"/a/b": {"/a", "b"},
		"/b":   {"a", "..", "/b"},
		"/c":   {"/..", "c"},
		"/a/c": {"a/./b/../c/"},
	} {
		equal(t, c.Join(parts...), want)
	}
}

func TestOptionsReachTheChroot(t *testing.T) {
	c, _ := open(t, chrooted.WithChrootOptions(nsgate.ChrootOptions{ReadOnly: true}))
	failsWith(t, c.Mkdir("/dir", 0o755), syscall.EROFS)
}

func TestIsNSorErr(t *testing.T) {
	must(t, chrooted.IsNSorErr("/proc/self/ns/mnt"))
	must(t, chrooted.IsNSorErr("/proc/thread-self/ns/net"))
	dir := t.TempDir()
	err := chrooted.IsNSorErr(filepath.Join(dir, "none"))
	if _, ok := err.(chrooted.NSPathNotExistError); !ok {
		t.Errorf("got %#v", err)
	}
	failsWith(t, err, fs.ErrNotExist)
	for _, path := range []string{dir, "/proc/self/status"} {
		err = chrooted.IsNSorErr(path)
		if _, ok := err.(chrooted.NSPathNotNSError); !ok || !strings.Contains(err.Error(), path) {
			t.Errorf("got %#v", err)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	failsWith(t, chrooted.IsNSorErr(filepath.Join(dir, "file/below")), syscall.ENOTDIR)
}
