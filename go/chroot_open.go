package nsgate

import (
	"io"
	"io/fs"
	"os"
	"runtime"
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Open opens a file for reading.
//
// The file is an os.File like any other; its Name is name as given. A FIFO, and what else can't seek, has
// deadlines, and a Read that waits for it holds no thread and ends with Close; its Fd stays non-blocking. Of
// an open directory, use ReadDir of the Chroot to list it: os.File's own looks entries up by path, outside.
func (c *Chroot) Open(name string) (*os.File, error) {
	return c.OpenFile(name, os.O_RDONLY, 0)
}

// Create creates or truncates a file, with mode 0o666 before umask, and opens it for reading and writing.
func (c *Chroot) Create(name string) (*os.File, error) {
	return c.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile opens a file; flag are those of open(2), syscall.O_DIRECTORY and others included. A new file
// gets perm, with set-user-id, set-group-id and sticky bits, before umask. The descriptor is closed on
// exec.
func (c *Chroot) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	if err := c.begin(); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	file, _, err := c.openFile(name, flag, perm)
	c.end()
	return file, err
}

// openFile is OpenFile as a part of an operation. It tells whether what waits for the file holds a thread.
func (c *Chroot) openFile(name string, flag int, perm fs.FileMode) (file *os.File, holds bool, err error) {
	var fd int
	var waits bool
	var e capi.Error
	mode := fromFileMode(perm)
	status := capi.OpenFile(c.id, name, int32(flag), mode, &fd, &waits, &e)
	runtime.KeepAlive(c)
	if status != capi.StatusOK {
		return nil, false, pathError("open", name, &e)
	}
	file = os.NewFile(uintptr(fd), name)
	if waits && file.SetDeadline(time.Time{}) != nil {
		// The poller doesn't take it, so its calls must wait by themselves.
		capi.SetBlocking(fd)
		waits = false
	}
	return file, !waits, nil
}

// ReadFile reads a whole file.
func (c *Chroot) ReadFile(name string) (data []byte, err error) {
	err = c.withFile(name, os.O_RDONLY, 0, func(f *os.File) error {
		defer f.Close()
		data, err = readAll(f)
		return err
	})
	return data, err
}

func readAll(f *os.File) ([]byte, error) {
	size := int64(0)
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	// One more than the size: so that the end is seen without growing.
	data := make([]byte, 0, max(512, size+1))
	for {
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return data, err
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}

// WriteFile writes a whole file, which is created with perm before umask or else truncated.
func (c *Chroot) WriteFile(name string, data []byte, perm fs.FileMode) error {
	return c.withFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm, func(f *os.File) error {
		_, err := f.Write(data)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		return err
	})
}

// withFile opens a file and uses it, all as one operation, except for waiting without a thread, for a FIFO.
func (c *Chroot) withFile(name string, flag int, perm fs.FileMode, use func(f *os.File) error) error {
	if err := c.begin(); err != nil {
		return &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f, holds, err := c.openFile(name, flag, perm)
	if !holds {
		c.end()
	} else {
		defer c.end()
	}
	if err != nil {
		return err
	}
	return use(f)
}

// OpenRoot opens a chroot of a directory in the chroot, with what the chroot allows and a place in the
// release queue of its own. Its Name is the directory's path in the chroot. As in an os.Root, symbolic links
// in name are followed, whatever NoFollow said of the volume's own path.
//
// The chroot gets its namespace, if no Do has made it. ErrWouldDeadlock: it is called in a Do, and no other
// thread is left.
func (c *Chroot) OpenRoot(name string) (*Chroot, error) {
	const op = "openroot"
	options := c.options
	options.NoFollow = false
	inner, err := c.gate.openChroot(op, name, &options, &c.operations, func(id *uint64, e *capi.Error) int32 {
		return capi.ChrootOpenChroot(c.id, name, options.flags(), id, e)
	})
	runtime.KeepAlive(c)
	return inner, err
}
