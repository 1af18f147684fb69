package nsgate

import (
	"errors"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// ReadDir lists a directory, sorted by name. Info of an entry looks it up in the chroot, by its path.
func (c *Chroot) ReadDir(name string) ([]fs.DirEntry, error) {
	return c.readDir(name, 0)
}

// ReadDirInfo is ReadDir with the FileInfo of each entry read along with it. An entry that vanishes
// meanwhile is left out. Those that can't be looked at are, too, and the first such error comes with the
// rest.
func (c *Chroot) ReadDirInfo(name string) ([]fs.FileInfo, error) {
	entries, err := c.readDir(name, capi.DirectoryWithStat)
	infos := make([]fs.FileInfo, 0, len(entries))
	for _, entry := range entries {
		info, infoErr := entry.Info()
		switch {
		case infoErr == nil:
			infos = append(infos, info)
		case err == nil && !errors.Is(infoErr, fs.ErrNotExist):
			err = infoErr
		}
	}
	return infos, err
}

// Entries lists a directory in the kernel's order, without holding it in memory. After an error the
// iteration ends.
func (c *Chroot) Entries(name string) iter.Seq2[fs.DirEntry, error] {
	return c.entries(name, 0)
}

func (c *Chroot) readDir(name string, flags uint32) ([]fs.DirEntry, error) {
	var entries []fs.DirEntry
	for entry, err := range c.entries(name, flags) {
		if err != nil {
			return entries, err
		}
		entries = append(entries, entry)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// directoryBuffer is how many words of records are read at a time: 32 KiB.
const directoryBuffer = 4096

func (c *Chroot) entries(name string, flags uint32) iter.Seq2[fs.DirEntry, error] {
	return func(yield func(fs.DirEntry, error) bool) {
		var directory uint64
		var e capi.Error
		err := c.operate("open", name, &e, func() int32 { return capi.DirectoryOpen(c.id, name, &directory, &e) })
		if err != nil {
			yield(nil, err)
			return
		}
		defer capi.DirectoryClose(directory, new(capi.Error))
		buffer := make([]uint64, directoryBuffer)
		for {
			var used int
			err := c.operate("readdir", name, &e, func() int32 {
				return capi.DirectoryRead(directory, buffer, flags, &used, &e)
			})
			if err != nil {
				yield(nil, err)
				return
			}
			if used == 0 {
				return
			}
			for record, entryName := range capi.Records(buffer, used) {
				if !yield(newDirEntry(c, name, entryName, record), nil) {
					return
				}
			}
		}
	}
}

// dirEntry is an entry of a directory of a chroot.
type dirEntry struct {
	chroot *Chroot
	parent string
	name   string
	kind   fs.FileMode
	info   *fileInfo // nil if it was not read
}

func newDirEntry(c *Chroot, parent, name string, record *capi.DirectoryEntry) fs.DirEntry {
	entry := &dirEntry{chroot: c, parent: parent, name: name}
	if record.HasStat != 0 {
		entry.info = &fileInfo{name: name, stat: record.Stat}
		entry.kind = entry.info.Mode().Type()
		return entry
	}
	kind, known := toFileType(record.Kind)
	if !known {
		// A file system that doesn't tell types. One that is gone by now stays a plain file.
		if info, err := entry.Info(); err == nil {
			kind = info.Mode().Type()
		}
	}
	entry.kind = kind
	return entry
}

func (e *dirEntry) Name() string      { return e.name }
func (e *dirEntry) IsDir() bool       { return e.kind.IsDir() }
func (e *dirEntry) Type() fs.FileMode { return e.kind }
func (e *dirEntry) String() string    { return fs.FormatDirEntry(e) }

func (e *dirEntry) Info() (fs.FileInfo, error) {
	if e.info != nil {
		return e.info, nil
	}
	return e.chroot.Lstat(strings.TrimSuffix(e.parent, "/") + "/" + e.name)
}
