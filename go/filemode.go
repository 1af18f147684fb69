package nsgate

import (
	"io/fs"
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Bits of a Linux st_mode.
const (
	modeType    = 0o170000
	modeSocket  = 0o140000
	modeSymlink = 0o120000
	modeBlock   = 0o060000
	modeDir     = 0o040000
	modeChar    = 0o020000
	modeFifo    = 0o010000
	modeSetuid  = 0o4000
	modeSetgid  = 0o2000
	modeSticky  = 0o1000
)

// toFileMode is the fs.FileMode of a Linux st_mode.
func toFileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	switch mode & modeType {
	case modeBlock:
		m |= fs.ModeDevice
	case modeChar:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case modeDir:
		m |= fs.ModeDir
	case modeFifo:
		m |= fs.ModeNamedPipe
	case modeSymlink:
		m |= fs.ModeSymlink
	case modeSocket:
		m |= fs.ModeSocket
	}
	if mode&modeSetuid != 0 {
		m |= fs.ModeSetuid
	}
	if mode&modeSetgid != 0 {
		m |= fs.ModeSetgid
	}
	if mode&modeSticky != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// fromFileMode is the Linux mode of permissions; what else m has is not set by a mode.
func fromFileMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		mode |= modeSetuid
	}
	if m&fs.ModeSetgid != 0 {
		mode |= modeSetgid
	}
	if m&fs.ModeSticky != 0 {
		mode |= modeSticky
	}
	return mode
}

// toFileType is the type of a DT_ constant, and whether it is known.
func toFileType(kind uint32) (fs.FileMode, bool) {
	if kind == 0 {
		return 0, false
	}
	return toFileMode(kind << 12).Type(), true
}

func toTime(t capi.Time) time.Time { return time.Unix(t.Seconds, int64(t.Nanoseconds)) }

func fromTime(t time.Time) capi.Time {
	return capi.Time{Seconds: t.Unix(), Nanoseconds: uint32(t.Nanosecond())}
}
