//go:build linux && cgo

package nsgatebilly_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/util"

	nsgate "github.com/nsgate/nsgate/go"
)

func TestOpeningAFifoDoesNotWait(t *testing.T) {
	f, volume := openFS(t, nil)
	must(t, syscall.Mkfifo(filepath.Join(volume, "fifo"), 0o666))
	for _, flag := range []int{os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREATE | os.O_TRUNC} {
		_, err := f.OpenFile("fifo", flag, 0o666)
		if !errors.Is(err, syscall.EINVAL) {
			t.Errorf("flag %#x: %v", flag, err)
		}
	}
	// For writing only, the kernel itself refuses while nobody reads.
	_, err := f.OpenFile("fifo", os.O_WRONLY, 0)
	if !errors.Is(err, syscall.ENXIO) {
		t.Error(err)
	}
	reader, err := os.OpenFile(filepath.Join(volume, "fifo"), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	must(t, err)
	defer reader.Close()
	_, err = f.OpenFile("fifo", os.O_WRONLY, 0)
	if !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}

func TestAnOpenedFileIsAPlainOne(t *testing.T) {
	f, _ := openFS(t, nil)
	opened, err := f.Create("file")
	must(t, err)
	defer opened.Close()
	conn, err := opened.(syscall.Conn).SyscallConn()
	must(t, err)
	must(t, conn.Control(func(fd uintptr) {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0)
		equal(t, errno, 0)
		equal(t, flags&syscall.O_NONBLOCK, 0)
	}))
}

func TestTheVolumeIsTheBoundary(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "secret"), nil, 0o666))
	f, volume := openFS(t, nil)
	must(t, os.Symlink(outside, filepath.Join(volume, "out")))
	must(t, os.Symlink(filepath.Join("../../../../../../../..", outside), filepath.Join(volume, "up")))
	for _, name := range []string{"out/secret", "up/secret", "../../../../../.." + outside + "/secret"} {
		if _, err := f.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// ".." at the root stays there.
	must(t, util.WriteFile(f, "../../file", []byte("x"), 0o666))
	_, err := os.Stat(filepath.Join(volume, "file"))
	must(t, err)
	must(t, f.Symlink("/file", "absolute"))
	info, err := f.Stat("absolute")
	must(t, err)
	equal(t, info.Size(), 1)
}

func TestASubdirectoryKeepsToItself(t *testing.T) {
	f, volume := openFS(t, nil)
	must(t, util.WriteFile(f, "outside", nil, 0o666))
	sub, err := f.Chroot("sub/directory")
	must(t, err)
	equal(t, sub.Root(), "/sub/directory")
	must(t, util.WriteFile(sub, "file", []byte("x"), 0o666))
	for link, target := range map[string]string{
		"relative": "../../outside", "dangling": "../../not-there", "directory": "../..",
	} {
		must(t, os.Symlink(target, filepath.Join(volume, "sub/directory", link)))
	}
	must(t, os.Symlink("/outside", filepath.Join(volume, "sub/directory/absolute")))
	for _, name := range []string{"relative", "dangling", "absolute", "directory/outside", "directory/new/file"} {
		_, err := sub.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666)
		if err != billy.ErrCrossedBoundary {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"not-there", "new"} {
		if _, err := f.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// An absolute link means the subdirectory's root, and is told so.
	must(t, sub.Symlink("/file", "to-file"))
	target, err := sub.Readlink("to-file")
	must(t, err)
	equal(t, target, "/file")
	info, err := sub.Stat("to-file")
	must(t, err)
	equal(t, info.Name(), "to-file")
	equal(t, info.Size(), 1)
	must(t, sub.Symlink("loop", "loop"))
	_, err = sub.Stat("loop")
	if !errors.Is(err, syscall.ELOOP) {
		t.Error(err)
	}
	must(t, sub.(billy.Change).Chmod("to-file", 0o600))
	info, err = f.Stat("sub/directory/file")
	must(t, err)
	equal(t, info.Mode(), 0o600)
}

func TestAttributes(t *testing.T) {
	f, _ := openFS(t, nil)
	must(t, util.WriteFile(f, "file", nil, 0o644))
	must(t, f.Symlink("file", "link"))
	must(t, f.Chmod("link", 0o4711))
	must(t, f.Chown("link", os.Getuid(), os.Getgid()))
	must(t, f.Lchown("link", -1, -1))
	before := time.Date(1960, 1, 2, 3, 4, 5, 6, time.UTC)
	must(t, f.Chtimes("link", before, before))
	info, err := f.Lstat("file")
	must(t, err)
	if !info.ModTime().Equal(before) {
		t.Error(info.ModTime())
	}
	equal(t, info.Sys().(*syscall.Stat_t).Mode&0o7777, 0o711) // a change of owner takes set-user-id away
	statfs, err := f.Statfs("/")
	must(t, err)
	if statfs.Blocks == 0 {
		t.Error("no blocks")
	}
}

func TestAReadOnlyChrootHasNoWriteCapability(t *testing.T) {
	f, _ := openFS(t, &nsgate.ChrootOptions{ReadOnly: true})
	equal(t, billy.CapabilityCheck(f, billy.WriteCapability), false)
	equal(t, billy.CapabilityCheck(f, billy.ReadCapability), true)
	_, err := f.Create("file")
	if !errors.Is(err, syscall.EROFS) {
		t.Error(err)
	}
	writable, _ := openFS(t, nil)
	equal(t, billy.Capabilities(writable), billy.AllCapabilities)
}

func TestAClosedChrootAnswersClosed(t *testing.T) {
	gate := openGate(t)
	chroot, err := gate.OpenChroot(t.TempDir(), nil)
	must(t, err)
	f := openFSOf(chroot)
	opened, err := f.Create("file")
	must(t, err)
	must(t, chroot.Close())
	_, err = f.Stat("file")
	if !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
	_, err = opened.Write([]byte("x")) // what is open stays so
	must(t, err)
	must(t, opened.Close())
}

func TestLocks(t *testing.T) {
	f, _ := openFS(t, nil)
	first, err := f.Create("file")
	must(t, err)
	defer first.Close()
	second, err := f.Open("file")
	must(t, err)
	defer second.Close()
	must(t, first.Lock())
	locked := make(chan error)
	go func() { locked <- second.Lock() }()
	select {
	case err := <-locked:
		t.Fatal("both have the lock", err)
	case <-time.After(20 * time.Millisecond):
	}
	must(t, first.Unlock())
	must(t, <-locked)
	must(t, second.Close())
	if err := second.Unlock(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestFileSystemsCanBeWalkedByReflection(t *testing.T) {
	gate := openGate(t)
	a, b := openVolume(t, gate, t.TempDir(), nil), openVolume(t, gate, t.TempDir(), nil)
	equal(t, reflect.DeepEqual(a, a), true)
	equal(t, reflect.DeepEqual(a, b), false)
	var all sync.WaitGroup
	for range 4 {
		all.Add(2)
		go func() {
			defer all.Done()
			for range 200 {
				_ = fmt.Sprintf("%+v", a)
				reflect.DeepEqual(a, b)
			}
		}()
		go func() {
			defer all.Done()
			for range 200 {
				a.Stat("/")
			}
		}()
	}
	all.Wait()
}
