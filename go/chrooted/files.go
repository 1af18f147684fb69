package chrooted

import "os"

// Create creates or truncates a file and opens it for reading and writing, as os.Create does.
func (c *Chrooted) Create(name string) (*os.File, error) {
	file, err := c.state().chroot.Create(name)
	return file, answer(err)
}

// Open opens a file for reading. What is open stays usable after Close.
func (c *Chrooted) Open(name string) (*os.File, error) {
	file, err := c.state().chroot.Open(name)
	return file, answer(err)
}

// OpenFile opens a file as os.OpenFile does; flag may be any that open(2) takes.
func (c *Chrooted) OpenFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	file, err := c.state().chroot.OpenFile(name, flag, perm)
	return file, answer(err)
}

// TempFile makes a new file in dir as os.CreateTemp does. An empty dir is "/tmp".
func (c *Chrooted) TempFile(dir, prefix string) (*os.File, error) {
	file, err := c.state().chroot.TempFile(dir, prefix)
	return file, answer(err)
}

// ReadDir lists a directory, sorted by name. An entry that vanishes meanwhile is left out.
func (c *Chrooted) ReadDir(name string) ([]os.FileInfo, error) {
	infos, err := c.state().chroot.ReadDirInfo(name)
	if err != nil {
		return nil, answer(err)
	}
	return infos, nil
}

// Mkdir makes a directory.
func (c *Chrooted) Mkdir(name string, perm os.FileMode) error {
	return answer(c.state().chroot.Mkdir(name, perm))
}

// MkdirAll makes a directory and those above it that are missing.
func (c *Chrooted) MkdirAll(name string, perm os.FileMode) error {
	return answer(c.state().chroot.MkdirAll(name, perm))
}

// Rename renames a file or directory, and replaces what newname was.
func (c *Chrooted) Rename(oldname, newname string) error {
	return answer(c.state().chroot.Rename(oldname, newname))
}

// Remove removes a file or an empty directory.
func (c *Chrooted) Remove(name string) error {
	return answer(c.state().chroot.Remove(name))
}

// RemoveAll removes a file or a directory with all that is in it. That there is none is no error.
func (c *Chrooted) RemoveAll(name string) error {
	return answer(c.state().chroot.RemoveAll(name))
}

// Symlink makes link a symbolic link to target. An absolute target means the chroot's root.
func (c *Chrooted) Symlink(target, link string) error {
	return answer(c.state().chroot.Symlink(target, link))
}

// Readlink returns the target of a symbolic link, as it is.
func (c *Chrooted) Readlink(name string) (string, error) {
	target, err := c.state().chroot.Readlink(name)
	return target, answer(err)
}

// EvalSymlinks returns the path of a file in the chroot, absolute and without symbolic links.
func (c *Chrooted) EvalSymlinks(name string) (string, error) {
	path, err := c.state().chroot.EvalSymlinks(name)
	return path, answer(err)
}
