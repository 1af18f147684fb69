package nsgate

import (
	"io/fs"
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Mkdir makes a directory, with perm before umask.
func (c *Chroot) Mkdir(name string, perm fs.FileMode) error {
	var e capi.Error
	return c.operate("mkdir", name, &e, func() int32 {
		return capi.Mkdir(c.id, name, fromFileMode(perm), &e)
	})
}

// MkdirAll makes a directory and those above it that are missing.
func (c *Chroot) MkdirAll(name string, perm fs.FileMode) error {
	var e capi.Error
	return c.operate("mkdir", name, &e, func() int32 {
		return capi.MkdirAll(c.id, name, fromFileMode(perm), &e)
	})
}

// Remove removes a file or an empty directory. What a mount lies on, be it the chroot's or the host's, is
// EBUSY.
func (c *Chroot) Remove(name string) error {
	var e capi.Error
	return c.operate("remove", name, &e, func() int32 {
		return capi.Remove(c.id, name, &e)
	})
}

// RemoveAll removes a file or a directory with all that is in it. That there is none is no error. It
// follows no symbolic link below name, enters no mount, and stays in the chroot whatever others rename
// meanwhile. ErrClosed when the chroot is released meanwhile.
func (c *Chroot) RemoveAll(name string) error {
	var e capi.Error
	return c.operate("removeall", name, &e, func() int32 {
		return capi.RemoveAll(c.id, name, &e)
	})
}

// Chmod sets the permissions, set-user-id, set-group-id and sticky bits of a file.
func (c *Chroot) Chmod(name string, mode fs.FileMode) error {
	var e capi.Error
	return c.operate("chmod", name, &e, func() int32 {
		return capi.Chmod(c.id, name, fromFileMode(mode), &e)
	})
}

// Chown sets the owner of a file; -1 leaves one as it is.
func (c *Chroot) Chown(name string, uid, gid int) error {
	var e capi.Error
	return c.operate("chown", name, &e, func() int32 {
		return capi.Chown(c.id, name, uint32(uid), uint32(gid), &e)
	})
}

// Lchown is Chown, but does not follow a symbolic link at the end of name.
func (c *Chroot) Lchown(name string, uid, gid int) error {
	var e capi.Error
	return c.operate("lchown", name, &e, func() int32 {
		return capi.Lchown(c.id, name, uint32(uid), uint32(gid), &e)
	})
}

// Chtimes sets the times of a file to the nanosecond; a zero time leaves one as it is.
func (c *Chroot) Chtimes(name string, atime, mtime time.Time) error {
	return c.chtimes("chtimes", name, atime, mtime, 0)
}

// Lchtimes is Chtimes, but does not follow a symbolic link at the end of name.
func (c *Chroot) Lchtimes(name string, atime, mtime time.Time) error {
	return c.chtimes("lchtimes", name, atime, mtime, capi.TimesNofollow)
}

func (c *Chroot) chtimes(op, name string, atime, mtime time.Time, flags uint32) error {
	a, m := fromTime(atime), fromTime(mtime)
	access, modification := &a, &m
	if atime.IsZero() {
		access = nil
	}
	if mtime.IsZero() {
		modification = nil
	}
	var e capi.Error
	return c.operate(op, name, &e, func() int32 {
		return capi.SetTimes(c.id, name, access, modification, flags, &e)
	})
}

// Truncate sets the length of a file.
func (c *Chroot) Truncate(name string, size int64) error {
	var e capi.Error
	return c.operate("truncate", name, &e, func() int32 {
		return capi.Truncate(c.id, name, size, &e)
	})
}

// Rename renames a file or directory and replaces what newname was, as rename(2) does. What a mount lies
// on, be it the chroot's or the host's, is EBUSY, under either name.
func (c *Chroot) Rename(oldname, newname string) error {
	return c.rename(oldname, newname, 0)
}

// RenameNoReplace is Rename, but answers EEXIST if there is a newname.
func (c *Chroot) RenameNoReplace(oldname, newname string) error {
	return c.rename(oldname, newname, capi.RenameNoreplace)
}

// Exchange swaps two files or directories atomically.
func (c *Chroot) Exchange(oldname, newname string) error {
	return c.rename(oldname, newname, capi.RenameExchange)
}

func (c *Chroot) rename(oldname, newname string, flags uint32) error {
	var e capi.Error
	return c.operateLink("rename", oldname, newname, &e, func() int32 {
		return capi.Rename(c.id, oldname, newname, flags, &e)
	})
}

// Link makes newname a hard link to oldname; a symbolic link is not followed but linked to.
func (c *Chroot) Link(oldname, newname string) error {
	var e capi.Error
	return c.operateLink("link", oldname, newname, &e, func() int32 {
		return capi.Link(c.id, oldname, newname, &e)
	})
}

// Symlink makes newname a symbolic link to oldname, whatever that is.
func (c *Chroot) Symlink(oldname, newname string) error {
	var e capi.Error
	return c.operateLink("symlink", oldname, newname, &e, func() int32 {
		return capi.Symlink(c.id, oldname, newname, &e)
	})
}
