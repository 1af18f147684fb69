package nsgate

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// openDir is an open directory of a chroot's fs.FS. It reads its entries by itself, for an os.File looks up
// by path, on the host, what it needs to know of them.
type openDir struct {
	file   *os.File
	chroot *Chroot

	mu     sync.Mutex
	buffer []byte
	unread []byte // what ReadDir has not returned of buffer
}

func (d *openDir) Close() error               { return d.file.Close() }
func (d *openDir) Read(b []byte) (int, error) { return d.file.Read(b) } // EISDIR

func (d *openDir) Stat() (info fs.FileInfo, err error) {
	if refused := d.chroot.FileOperation(func() { info, err = d.file.Stat() }); refused != nil {
		return nil, &fs.PathError{Op: "stat", Path: d.file.Name(), Err: refused}
	}
	return info, err
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	entries := []fs.DirEntry{}
	for n <= 0 || len(entries) < n {
		if len(d.unread) == 0 {
			if err := d.fill(); err != nil {
				return entries, &fs.PathError{Op: "readdir", Path: d.file.Name(), Err: err}
			}
			if len(d.unread) == 0 {
				break
			}
		}
		if name, kind := d.next(); name != "." && name != ".." {
			entries = append(entries, newDirEntry(d.chroot, d.file.Name(), name, &capi.DirectoryEntry{Kind: kind}))
		}
	}
	if n > 0 && len(entries) == 0 {
		return entries, io.EOF
	}
	return entries, nil
}

// fill reads more records; none are left at the end.
func (d *openDir) fill() error {
	conn, err := d.file.SyscallConn()
	if err != nil {
		return err
	}
	if d.buffer == nil {
		d.buffer = make([]byte, 8*directoryBuffer)
	}
	var n int
	refused := d.chroot.FileOperation(func() {
		if conn.Control(func(fd uintptr) { n, err = capi.ReadDirent(int(fd), d.buffer) }) != nil {
			err = fs.ErrClosed // its only error, which package os doesn't translate here
		}
	})
	if refused != nil {
		return refused
	}
	if err == nil {
		d.unread = d.buffer[:n]
	}
	return err
}

// next takes a record, which is a struct linux_dirent64 of getdents64(2).
func (d *openDir) next() (name string, kind uint32) {
	const length, kindAt, nameAt = 16, 18, 19
	record := d.unread[:binary.NativeEndian.Uint16(d.unread[length:])]
	d.unread = d.unread[len(record):]
	text, _, _ := bytes.Cut(record[nameAt:], []byte{0})
	return string(text), uint32(record[kindAt])
}
