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
	var opened fs.File
	err := f.outer().withFile(name, os.O_RDONLY, 0, func(file *os.File) error {
		info, err := file.Stat()
		if err != nil {
			file.Close()
			return err
		}
		opened = file
		if info.IsDir() {
			opened = &openDir{file: file, chroot: f.outer()}
		}
		return nil
	})
	return opened, err
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
