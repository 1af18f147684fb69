package nsgate

import (
	"io/fs"
	"os"
	"strings"
)

// FS returns the chroot as a file system. It implements fs.StatFS, fs.ReadFileFS, fs.ReadDirFS and
// fs.ReadLinkFS.
func (c *Chroot) FS() fs.FS { return (*chrootFS)(c) }

type chrootFS Chroot

func (f *chrootFS) outer() *Chroot { return (*Chroot)(f) }

func (f *chrootFS) Open(name string) (fs.File, error) {
	if err := validate("open", name); err != nil {
		return nil, err
	}
	file, err := f.outer().Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	if info.IsDir() {
		return &openDir{File: file, chroot: f.outer()}, nil
	}
	return file, nil
}

func (f *chrootFS) Stat(name string) (fs.FileInfo, error) {
	if err := validate("stat", name); err != nil {
		return nil, err
	}
	return f.outer().Stat(name)
}

func (f *chrootFS) Lstat(name string) (fs.FileInfo, error) {
	if err := validate("lstat", name); err != nil {
		return nil, err
	}
	return f.outer().Lstat(name)
}

func (f *chrootFS) ReadLink(name string) (string, error) {
	if err := validate("readlink", name); err != nil {
		return "", err
	}
	return f.outer().Readlink(name)
}

func (f *chrootFS) ReadFile(name string) ([]byte, error) {
	if err := validate("readfile", name); err != nil {
		return nil, err
	}
	return f.outer().ReadFile(name)
}

func (f *chrootFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := validate("readdir", name); err != nil {
		return nil, err
	}
	return f.outer().ReadDir(name)
}

func validate(op, name string) error {
	if !fs.ValidPath(name) || strings.IndexByte(name, 0) >= 0 {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

// openDir is an open directory. Its entries are looked up in the chroot, where those of an os.File
// would be looked up outside.
type openDir struct {
	*os.File
	chroot *Chroot
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	entries, err := d.File.ReadDir(n)
	for i, entry := range entries {
		entries[i] = &dirEntry{chroot: d.chroot, parent: d.Name(), name: entry.Name(), kind: entry.Type()}
	}
	return entries, err
}

func (d *openDir) Readdir(n int) ([]fs.FileInfo, error) {
	entries, err := d.ReadDir(n)
	infos := make([]fs.FileInfo, 0, len(entries))
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			infos = append(infos, info)
		}
	}
	return infos, err
}
