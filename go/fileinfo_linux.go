package nsgate

import (
	"syscall"

	"github.com/nsgate/nsgate/go/internal/capi"
)

func (i *fileInfo) sys() any {
	s := &i.stat
	out := &syscall.Stat_t{
		Dev:  s.Device,
		Ino:  s.Inode,
		Mode: s.Mode,
		Uid:  s.UID,
		Gid:  s.GID,
		Rdev: s.SpecialDevice,
		Size: s.Size,
	}
	// These have different widths on different processors.
	set(&out.Nlink, s.LinkCount)
	set(&out.Blksize, s.BlockSize)
	set(&out.Blocks, s.Blocks)
	setTime(&out.Atim, s.Access)
	setTime(&out.Mtim, s.Modification)
	setTime(&out.Ctim, s.Change)
	return out
}

type integer interface {
	int32 | uint32 | int64 | uint64
}

func set[To, From integer](to *To, from From) { *to = To(from) }

func setTime(to *syscall.Timespec, from capi.Time) {
	set(&to.Sec, from.Seconds)
	set(&to.Nsec, from.Nanoseconds)
}
