package chrooted

import (
	"os"
	"time"
)

// Stat describes a file. Sys of the result is a *syscall.Stat_t.
func (c *Chrooted) Stat(name string) (os.FileInfo, error) {
	info, err := c.state().chroot.Stat(name)
	return info, answer(err)
}

// Lstat describes a file; a symbolic link at the end of name is not followed.
func (c *Chrooted) Lstat(name string) (os.FileInfo, error) {
	info, err := c.state().chroot.Lstat(name)
	return info, answer(err)
}

// Chmod sets the permissions, set-user-id, set-group-id and sticky bits of a file.
func (c *Chrooted) Chmod(name string, mode os.FileMode) error {
	return answer(c.state().chroot.Chmod(name, mode))
}

// Chown sets the owner of a file; -1 leaves one as it is.
func (c *Chrooted) Chown(name string, uid, gid int) error {
	return answer(c.state().chroot.Chown(name, uid, gid))
}

// Lchown is Chown, but doesn't follow a symbolic link at the end of name.
func (c *Chrooted) Lchown(name string, uid, gid int) error {
	return answer(c.state().chroot.Lchown(name, uid, gid))
}

// Chtimes sets the times of a file to the nanosecond; a zero time leaves one as it is.
func (c *Chrooted) Chtimes(name string, atime, mtime time.Time) error {
	return answer(c.state().chroot.Chtimes(name, atime, mtime))
}
