//go:build linux && cgo

package nsgatebilly_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/go-git/go-billy/v5"

	nsgate "github.com/nsgate/nsgate/go"
)

// openScarce opens a file system whose gate has one place for a file operation.
func openScarce(t *testing.T) (*nsgate.Chroot, billy.Filesystem) {
	gate := openGate(t, nsgate.WithFileOperations(1, 1, 0))
	chroot, err := gate.OpenChroot(t.TempDir(), nil)
	must(t, err)
	t.Cleanup(func() { chroot.Close() })
	return chroot, openFSOf(chroot)
}

// TestTheIOOfAFileIsLimited: each call that may hang, and keep a thread then, is one of the chroot's
// operations.
func TestTheIOOfAFileIsLimited(t *testing.T) {
	chroot, f := openScarce(t)
	opened, err := f.Create("file")
	must(t, err)
	defer opened.Close()
	temporary, err := f.TempFile("", "temporary")
	must(t, err)
	defer temporary.Close()
	text := make([]byte, 4)
	for _, file := range []billy.File{opened, temporary} {
		calls := map[string]func() error{
			"write":    func() error { _, err := file.Write([]byte("text")); return err },
			"writeat":  func() error { _, err := file.(io.WriterAt).WriteAt([]byte("text"), 0); return err },
			"seek":     func() error { _, err := file.Seek(0, io.SeekStart); return err },
			"read":     func() error { _, err := file.Read(text); return err },
			"readat":   func() error { _, err := file.ReadAt(text, 0); return err },
			"copy":     func() error { _, err := io.CopyBuffer(io.Discard, io.NewSectionReader(file, 0, 4), text); return err },
			"stat":     func() error { _, err := file.(interface{ Stat() (fs.FileInfo, error) }).Stat(); return err },
			"sync":     func() error { return file.(interface{ Sync() error }).Sync() },
			"truncate": func() error { return file.Truncate(8) },
			"flock":    func() error { return file.Lock() },
		}
		must(t, calls["write"]())
		must(t, chroot.FileOperation(func() {
			for name, call := range calls {
				err := call()
				var pathErr *fs.PathError
				if !errors.Is(err, nsgate.ErrFull) || !errors.As(err, &pathErr) {
					t.Errorf("%s: %v", name, err)
				} else if name != "copy" {
					equal(t, pathErr.Op, name)
					equal(t, pathErr.Path, file.Name())
				}
			}
			must(t, file.Unlock()) // does not wait
		}))
		for _, name := range []string{"seek", "read", "truncate", "readat", "writeat", "copy", "stat", "sync", "flock"} {
			if err := calls[name](); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, ok := file.(io.ReaderFrom); ok {
			t.Error("io.Copy writes without asking")
		}
		if _, ok := file.(interface {
			Readdir(n int) ([]os.FileInfo, error)
		}); ok {
			t.Error("Readdir looks entries up on the host")
		}
	}
}

// TestARefusedCloseIsDoneLater: a file that stayed open would be lost.
func TestARefusedCloseIsDoneLater(t *testing.T) {
	chroot, f := openScarce(t)
	opened, err := f.Create("file")
	must(t, err)
	must(t, chroot.FileOperation(func() {
		if err := opened.Close(); !errors.Is(err, nsgate.ErrFull) {
			t.Error(err)
		}
		conn, err := opened.(syscall.Conn).SyscallConn()
		must(t, err)
		must(t, conn.Control(func(uintptr) {})) // it is open
	}))
	for deadline := time.Now().Add(patience); !errors.Is(err, fs.ErrClosed); {
		time.Sleep(time.Millisecond)
		if _, err = opened.Write(nil); time.Now().After(deadline) {
			t.Fatal("it stays open", err)
		}
	}
	if err := opened.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
}
