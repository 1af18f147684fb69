package nsgatebilly

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/go-git/go-billy/v5"
	nsgate "github.com/nsgate/nsgate/go"
)

// FS is a chroot as a file system. It may be used by any number of goroutines. Compare file systems by
// their pointers; code that walks or compares them by reflection finds nothing that changes.
type FS struct {
	// chroot returns the chroot. It is a function because reflection stops at one.
	chroot   func() *nsgate.Chroot
	base     string // the root as a path of the chroot, clean
	readOnly bool
}

var (
	_ billy.Filesystem = (*FS)(nil)
	_ billy.Change     = (*FS)(nil)
	_ billy.Capable    = (*FS)(nil)
)

// statfsReadOnly is ST_RDONLY of statvfs(3).
const statfsReadOnly = 1

// New makes a file system of a chroot, which stays the caller's to close.
func New(chroot *nsgate.Chroot) *FS {
	f := &FS{chroot: func() *nsgate.Chroot { return chroot }, base: "/"}
	if statfs, err := chroot.Statfs("/"); err == nil {
		f.readOnly = statfs.Flags&statfsReadOnly != 0
	}
	return f
}

// Capabilities tells what can be done: no writing if the chroot is read-only.
func (f *FS) Capabilities() billy.Capability {
	if f.readOnly {
		return billy.ReadCapability | billy.SeekCapability | billy.LockCapability
	}
	return billy.AllCapabilities
}

// Join joins parts of a path and cleans it.
func (f *FS) Join(elem ...string) string { return path.Join(elem...) }

// Root returns the root as a path of the chroot: "/", unless Chroot made the file system.
func (f *FS) Root() string { return f.base }

// Chroot returns the file system of a directory, which need not be there yet.
func (f *FS) Chroot(name string) (billy.Filesystem, error) {
	p, err := f.below(name)
	if err != nil {
		return nil, err
	}
	return &FS{chroot: f.chroot, base: p, readOnly: f.readOnly}, nil
}

// Stat describes a file.
func (f *FS) Stat(name string) (os.FileInfo, error) {
	p, err := f.resolve(name, true)
	if err != nil {
		return nil, err
	}
	info, err := f.chroot().Stat(p)
	if err != nil {
		return nil, err
	}
	return named(info, name), nil
}

// Lstat describes a file; a symbolic link at the end of name is not followed.
func (f *FS) Lstat(name string) (os.FileInfo, error) {
	p, err := f.resolve(name, false)
	if err != nil {
		return nil, err
	}
	return f.chroot().Lstat(p)
}

// ReadDir lists a directory, sorted by name.
func (f *FS) ReadDir(name string) ([]os.FileInfo, error) {
	p, err := f.resolve(name, true)
	if err != nil {
		return nil, err
	}
	return f.chroot().ReadDirInfo(p)
}

// MkdirAll makes a directory and those above it that are missing.
func (f *FS) MkdirAll(name string, perm os.FileMode) error {
	p, err := f.resolve(name, true)
	if err != nil {
		return err
	}
	return f.chroot().MkdirAll(p, perm)
}

// Remove removes a file or an empty directory.
func (f *FS) Remove(name string) error {
	p, err := f.resolve(name, false)
	if err != nil {
		return err
	}
	return f.chroot().Remove(p)
}

// RemoveAll removes a file or a directory with all that is in it, as util.RemoveAll of go-billy does.
func (f *FS) RemoveAll(name string) error {
	p, err := f.resolve(name, false)
	if err != nil {
		return err
	}
	return f.chroot().RemoveAll(p)
}

// Rename renames a file or directory and replaces what newname was.
func (f *FS) Rename(oldname, newname string) error {
	from, err := f.resolve(oldname, false)
	if err != nil {
		return err
	}
	to, err := f.resolve(newname, false)
	if err != nil {
		return err
	}
	if err = f.chroot().Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// It is from that is missing, or the directory of to.
	if _, err := f.chroot().Lstat(from); err != nil {
		return err
	}
	return f.withParent(to, err, func() error { return f.chroot().Rename(from, to) })
}

// Symlink makes link a symbolic link to target, whatever that is.
func (f *FS) Symlink(target, link string) error {
	p, err := f.resolve(link, false)
	if err != nil {
		return err
	}
	target = f.targetInside(target)
	symlink := func() error { return f.chroot().Symlink(target, p) }
	return f.withParent(p, symlink(), symlink)
}

// Readlink returns the target of a symbolic link.
func (f *FS) Readlink(link string) (string, error) {
	p, err := f.resolve(link, false)
	if err != nil {
		return "", err
	}
	target, err := f.chroot().Readlink(p)
	if err != nil {
		return "", err
	}
	return f.targetOutside(target), nil
}

// Chmod sets the permissions of a file.
func (f *FS) Chmod(name string, mode os.FileMode) error {
	p, err := f.resolve(name, true)
	if err != nil {
		return err
	}
	return f.chroot().Chmod(p, mode)
}

// Chown sets the owner of a file; -1 leaves one as it is.
func (f *FS) Chown(name string, uid, gid int) error {
	p, err := f.resolve(name, true)
	if err != nil {
		return err
	}
	return f.chroot().Chown(p, uid, gid)
}

// Lchown is Chown, but does not follow a symbolic link at the end of name.
func (f *FS) Lchown(name string, uid, gid int) error {
	p, err := f.resolve(name, false)
	if err != nil {
		return err
	}
	return f.chroot().Lchown(p, uid, gid)
}

// Chtimes sets the times of a file; a zero time leaves one as it is.
func (f *FS) Chtimes(name string, atime, mtime time.Time) error {
	p, err := f.resolve(name, true)
	if err != nil {
		return err
	}
	return f.chroot().Chtimes(p, atime, mtime)
}

// Statfs describes the file system that name is on, which go-billy has no method for.
func (f *FS) Statfs(name string) (nsgate.Statfs, error) {
	p, err := f.resolve(name, true)
	if err != nil {
		return nsgate.Statfs{}, err
	}
	return f.chroot().Statfs(p)
}

// withParent tries once more, with the directories above p made, if the first try missed one.
func (f *FS) withParent(p string, first error, again func() error) error {
	if !errors.Is(first, fs.ErrNotExist) {
		return first
	}
	parent := path.Dir(p)
	if _, err := f.chroot().Lstat(parent); err == nil {
		return first
	}
	// Another may remove it in between; then that is the answer.
	if err := f.chroot().MkdirAll(parent, 0o755); err != nil && !errors.Is(err, syscall.EEXIST) {
		return err
	}
	return again()
}
