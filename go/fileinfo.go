package nsgate

import (
	"io/fs"
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// fileInfo is what Stat and its like return.
type fileInfo struct {
	name string
	stat capi.Stat
}

func (i *fileInfo) Name() string       { return i.name }
func (i *fileInfo) Size() int64        { return i.stat.Size }
func (i *fileInfo) Mode() fs.FileMode  { return toFileMode(i.stat.Mode) }
func (i *fileInfo) ModTime() time.Time { return toTime(i.stat.Modification) }
func (i *fileInfo) IsDir() bool        { return i.stat.Mode&modeType == modeDir }
func (i *fileInfo) String() string     { return fs.FormatFileInfo(i) }

// Sys returns a *syscall.Stat_t on Linux.
func (i *fileInfo) Sys() any { return i.sys() }

// SameFile reports whether a and b, which a [Chroot] returned, describe the same file. (os.SameFile knows
// the FileInfos of package os only.)
func SameFile(a, b fs.FileInfo) bool {
	x, ok := a.(*fileInfo)
	if !ok {
		return false
	}
	y, ok := b.(*fileInfo)
	return ok && x.stat.Device == y.stat.Device && x.stat.Inode == y.stat.Inode
}

// baseName is the last part of a path, as package os names a file.
func baseName(name string) string {
	end := len(name)
	for end > 1 && name[end-1] == '/' {
		end--
	}
	name = name[:end]
	for i := end - 1; i >= 0; i-- {
		if name[i] == '/' && end > 1 {
			return name[i+1:]
		}
	}
	return name
}
