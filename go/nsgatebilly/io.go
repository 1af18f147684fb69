package nsgatebilly

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// file is an open file. What may hang in it is an operation of the chroot, of which there is a limit.
type file struct {
	opened *os.File
	name   string
	chroot *nsgate.Chroot
}

// closePause is between two tries to close a file that was refused.
const closePause = 10 * time.Millisecond

// Name returns the path of the file, from the root and without the "/" in front.
func (f *file) Name() string { return f.name }

// Read reads from where the file is at.
func (f *file) Read(p []byte) (n int, err error) {
	err = f.operate("read", func() (err error) { n, err = f.opened.Read(p); return err })
	return n, err
}

// ReadAt reads from an offset.
func (f *file) ReadAt(p []byte, offset int64) (n int, err error) {
	err = f.operate("readat", func() (err error) { n, err = f.opened.ReadAt(p, offset); return err })
	return n, err
}

// Write writes where the file is at.
func (f *file) Write(p []byte) (n int, err error) {
	err = f.operate("write", func() (err error) { n, err = f.opened.Write(p); return err })
	return n, err
}

// WriteAt writes at an offset.
func (f *file) WriteAt(p []byte, offset int64) (n int, err error) {
	err = f.operate("writeat", func() (err error) { n, err = f.opened.WriteAt(p, offset); return err })
	return n, err
}

// Seek sets where the file is at. From the end, it asks for the size.
func (f *file) Seek(offset int64, whence int) (at int64, err error) {
	err = f.operate("seek", func() (err error) { at, err = f.opened.Seek(offset, whence); return err })
	return at, err
}

// Truncate sets the size.
func (f *file) Truncate(size int64) error {
	return f.operate("truncate", func() error { return f.opened.Truncate(size) })
}

// Sync has what was written stored.
func (f *file) Sync() error { return f.operate("sync", f.opened.Sync) }

// Stat describes the file.
func (f *file) Stat() (info os.FileInfo, err error) {
	err = f.operate("stat", func() (err error) { info, err = f.opened.Stat(); return err })
	return info, err
}

// Lock waits for the file's exclusive flock(2) lock, which ends with the file at the latest. It holds a
// thread meanwhile.
func (f *file) Lock() error {
	return f.operate("flock", func() error { return f.flock(syscall.LOCK_EX) })
}

// Unlock gives the lock back.
func (f *file) Unlock() error { return f.flock(syscall.LOCK_UN) }

// Close closes the file, which may have to write first. If that is refused the file is closed later.
func (f *file) Close() error {
	err := f.operate("close", f.opened.Close)
	if errors.Is(err, nsgate.ErrFull) {
		go f.closeLater()
	}
	return err
}

func (f *file) closeLater() {
	for errors.Is(f.operate("close", f.opened.Close), nsgate.ErrFull) {
		time.Sleep(closePause)
	}
}

// SyscallConn gives access to the descriptor, for what the file has no method for.
func (f *file) SyscallConn() (syscall.RawConn, error) { return f.opened.SyscallConn() }

// operate calls do, which says by itself of what file its errors are, as an operation of the chroot.
func (f *file) operate(op string, do func() error) (err error) {
	if refused := f.chroot.FileOperation(func() { err = do() }); refused != nil {
		return &fs.PathError{Op: op, Path: f.name, Err: refused}
	}
	return err
}

func (f *file) flock(how int) error {
	err := control(f.opened, func(fd int) error {
		for {
			if err := syscall.Flock(fd, how); err != syscall.EINTR {
				return err
			}
		}
	})
	if err != nil {
		return &fs.PathError{Op: "flock", Path: f.name, Err: err}
	}
	return nil
}
