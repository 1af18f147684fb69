package nsgatebilly

import (
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/go-git/go-billy/v5"
)

// Create creates or truncates a file, with mode 0o666 before umask, and opens it for reading and writing.
func (f *FS) Create(name string) (billy.File, error) {
	return f.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// Open opens a file for reading.
func (f *FS) Open(name string) (billy.File, error) {
	return f.OpenFile(name, os.O_RDONLY, 0)
}

// OpenFile opens a file. It never waits for the other end of a FIFO: what is neither a regular file nor
// a directory answers EINVAL. Nor does it wait for a lease to be given up, which answers EAGAIN.
func (f *FS) OpenFile(name string, flag int, perm os.FileMode) (billy.File, error) {
	p, err := f.resolve(name, flag&(os.O_CREATE|os.O_EXCL) != os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	var opened *os.File
	open := func() (err error) {
		opened, err = f.chroot().OpenFile(p, flag|syscall.O_NONBLOCK, perm)
		return err
	}
	err = open()
	if flag&os.O_CREATE != 0 {
		err = f.withParent(p, err, open)
	}
	if err != nil {
		return nil, err
	}
	file := &file{opened, relative(name), f.chroot()}
	err = file.operate("open", func() error {
		if err := plain(opened, flag); err != nil {
			return &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return nil
	})
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// TempFile makes a new file in dir, which is made if it is missing, and opens it for reading and
// writing. Its name is prefix with digits behind it. An empty dir is the root.
func (f *FS) TempFile(dir, prefix string) (billy.File, error) {
	p, err := f.resolve(dir, true)
	if err != nil {
		return nil, err
	}
	var opened *os.File
	create := func() (err error) {
		opened, err = f.chroot().CreateTemp(p, prefix)
		return err
	}
	if err := f.withParent(path.Join(p, "*"), create(), create); err != nil {
		return nil, err
	}
	return &file{opened, relative(path.Join(dir, path.Base(opened.Name()))), f.chroot()}, nil
}

// plain checks that a file that was opened without waiting is a regular file or a directory, and makes
// it one that waits, as it was asked for.
func plain(opened *os.File, flag int) error {
	info, err := opened.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() && !info.IsDir() {
		return syscall.EINVAL
	}
	if flag&syscall.O_NONBLOCK != 0 {
		return nil
	}
	return control(opened, func(fd int) error { return syscall.SetNonblock(fd, false) })
}

// control calls f with the descriptor of a file, which stays open meanwhile.
func control(opened *os.File, f func(fd int) error) error {
	conn, err := opened.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	if conn.Control(func(fd uintptr) { failure = f(int(fd)) }) != nil {
		return fs.ErrClosed // its only error, which package os doesn't translate here
	}
	return failure
}
