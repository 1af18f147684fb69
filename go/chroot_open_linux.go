package nsgate

import (
	"os"
	"strconv"
	"syscall"
)

// openPathDirectory opens a directory as a place only: O_PATH, which package syscall lacks.
const openPathDirectory = 0x200000 | syscall.O_DIRECTORY

// descriptorPath is a path of the host that leads to an open file.
func descriptorPath(f *os.File) string {
	return "/proc/thread-self/fd/" + strconv.FormatUint(uint64(f.Fd()), 10)
}
