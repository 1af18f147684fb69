package nsgate

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// CreateTemp makes a new file in dir with mode 0o600, and opens it for reading and writing. Its name is
// pattern with digits in place of the last "*", or else behind it; the file's Name is its path. An empty
// dir means "/tmp", in the chroot.
func (c *Chroot) CreateTemp(dir, pattern string) (*os.File, error) {
	if strings.ContainsRune(pattern, '/') {
		return nil, &fs.PathError{Op: "createtemp", Path: pattern, Err: errSeparator}
	}
	if dir == "" {
		dir = "/tmp"
	}
	buffer := make([]byte, len(dir)+len(pattern)+capi.TempFileRoom)
	var fd, length int
	var e capi.Error
	err := c.operate("createtemp", dir, &e, func() int32 {
		return capi.TempFile(c.id, dir, pattern, &fd, buffer, &length, &e)
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), string(buffer[:min(length, len(buffer))])), nil
}

// TempFile is CreateTemp, as go-billy calls it.
func (c *Chroot) TempFile(dir, prefix string) (*os.File, error) { return c.CreateTemp(dir, prefix) }

var errSeparator = errors.New("pattern contains path separator")
