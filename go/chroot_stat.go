package nsgate

import (
	"io/fs"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Stat describes a file. Sys of the result is a *syscall.Stat_t.
func (c *Chroot) Stat(name string) (fs.FileInfo, error) {
	info := &fileInfo{name: baseName(name)}
	var e capi.Error
	err := c.operate("stat", name, &e, func() int32 {
		return capi.FileStat(c.id, name, &info.stat, &e)
	})
	if err != nil {
		return nil, err
	}
	return info, nil
}

// Lstat describes a file; a symbolic link at the end of name is not followed.
func (c *Chroot) Lstat(name string) (fs.FileInfo, error) {
	info := &fileInfo{name: baseName(name)}
	var e capi.Error
	err := c.operate("lstat", name, &e, func() int32 {
		return capi.FileLstat(c.id, name, &info.stat, &e)
	})
	if err != nil {
		return nil, err
	}
	return info, nil
}

// Statfs is what statfs(2) tells of a file system, with sizes in units of FragmentSize.
type Statfs struct {
	Type            int64 // its magic number
	BlockSize       int64
	Blocks          uint64
	BlocksFree      uint64
	BlocksAvailable uint64 // to users without privilege
	Files           uint64
	FilesFree       uint64
	NameLength      int64
	FragmentSize    int64
	Flags           uint64
}

// Statfs describes the file system that name is on.
func (c *Chroot) Statfs(name string) (Statfs, error) {
	var out capi.Statfs
	var e capi.Error
	err := c.operate("statfs", name, &e, func() int32 {
		return capi.FileStatfs(c.id, name, &out, &e)
	})
	if err != nil {
		return Statfs{}, err
	}
	return Statfs(out), nil
}

// Readlink returns the target of a symbolic link, as it is.
func (c *Chroot) Readlink(name string) (string, error) {
	return c.whole("readlink", name, capi.ReadLink)
}

// EvalSymlinks returns the path of a file in the chroot, absolute and without symbolic links.
func (c *Chroot) EvalSymlinks(name string) (string, error) {
	return c.whole("evalsymlinks", name, capi.RealPath)
}

// whole calls until the answer fits.
func (c *Chroot) whole(op, name string, call func(uint64, string, []byte, *int, *capi.Error) int32) (string, error) {
	for size := 256; ; {
		buffer := make([]byte, size)
		var length int
		var e capi.Error
		err := c.operate(op, name, &e, func() int32 {
			return call(c.id, name, buffer, &length, &e)
		})
		if err != nil {
			return "", err
		}
		if length <= size {
			return string(buffer[:length]), nil
		}
		size = length + 1
	}
}
