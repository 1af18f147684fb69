package nsgatebilly

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/go-git/go-billy/v5"
)

// clean is name as an absolute path in which ".." stops at the root.
func clean(name string) string { return path.Clean("/" + name) }

// crosses tells whether name leads above the root by its "..".
func crosses(name string) bool {
	name = path.Clean(strings.TrimLeft(name, "/"))
	return name == ".." || strings.HasPrefix(name, "../")
}

// relative is name as a file tells it.
func relative(name string) string {
	if name = clean(name); name == "/" {
		return "."
	}
	return name[1:]
}

// below is name as a path of the chroot. In the file system of a subdirectory it must not lead above;
// in that of the whole volume ".." at the root stays there.
func (f *FS) below(name string) (string, error) {
	if f.base == "/" {
		return clean(name), nil
	}
	if crosses(name) {
		return "", billy.ErrCrossedBoundary
	}
	return path.Join(f.base, name), nil
}

// resolve is name as a path for the chroot. In the file system of a subdirectory that is one without
// symbolic links, the last part excepted unless it is to be followed, and must be below the subdirectory.
func (f *FS) resolve(name string, follow bool) (string, error) {
	p, err := f.below(name)
	if err != nil || f.base == "/" {
		return p, err
	}
	base, err := f.realDir(f.base)
	if err != nil {
		return "", err
	}
	for range maxLinks {
		if p == f.base {
			return base, nil
		}
		dir, err := f.realDir(path.Dir(p))
		if err != nil {
			return "", err
		}
		p = path.Join(dir, path.Base(p))
		if p != base && !strings.HasPrefix(p, strings.TrimSuffix(base, "/")+"/") {
			return "", billy.ErrCrossedBoundary
		}
		if !follow {
			return p, nil
		}
		target, err := f.chroot().Readlink(p)
		if err != nil {
			return p, nil //nolint:nilerr // no link, or nothing there: the operation says what
		}
		if !path.IsAbs(target) {
			target = path.Join(dir, target)
		}
		p = path.Clean(target)
	}
	return "", &fs.PathError{Op: "open", Path: name, Err: syscall.ELOOP}
}

// maxLinks is how many symbolic links the kernel follows.
const maxLinks = 40

// realDir is a directory's path without symbolic links. What is missing at its end stays as it is.
func (f *FS) realDir(dir string) (string, error) {
	real, err := f.chroot().EvalSymlinks(dir)
	if err == nil || dir == "/" || !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	if _, lerr := f.chroot().Lstat(dir); lerr == nil {
		return "", err // a link to nothing
	}
	parent, err := f.realDir(path.Dir(dir))
	if err != nil {
		return "", err
	}
	return path.Join(parent, path.Base(dir)), nil
}

// targetInside is the target of a symbolic link as it is stored: an absolute one is meant from the
// file system's root.
func (f *FS) targetInside(target string) string {
	if f.base == "/" || !path.IsAbs(target) {
		return target
	}
	return path.Join(f.base, target)
}

// targetOutside turns targetInside back.
func (f *FS) targetOutside(target string) string {
	if f.base == "/" || !path.IsAbs(target) {
		return target
	}
	if rest, ok := strings.CutPrefix(target, f.base); ok && (rest == "" || rest[0] == '/') {
		return clean(rest)
	}
	return target
}

// namedInfo is a FileInfo by the name that was asked for, where a link was followed.
type namedInfo struct {
	os.FileInfo
	name string
}

func (i namedInfo) Name() string { return i.name }

func named(info os.FileInfo, name string) os.FileInfo {
	if name = path.Base(clean(name)); info.Name() == name {
		return info
	}
	return namedInfo{info, name}
}
