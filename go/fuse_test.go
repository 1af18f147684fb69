//go:build linux && cgo

package nsgate_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
)

// Requests of a FUSE server, of <linux/fuse.h>.
const (
	fuseLookup      = 1
	fuseForget      = 2
	fuseGetattr     = 3
	fuseSetattr     = 4
	fuseOpen        = 14
	fuseRead        = 15
	fuseWrite       = 16
	fuseStatfs      = 17
	fuseRelease     = 18
	fuseFlush       = 25
	fuseInit        = 26
	fuseOpendir     = 27
	fuseReaddir     = 28
	fuseReleasedir  = 29
	fuseInterrupt   = 36
	fuseBatchForget = 42
)

const (
	fuseRoot = 1 // the number of the root directory
	fuseData = 2 // that of the file "data"
)

// fuseText is what the file has in it.
const fuseText = "text"

// fuseVolume is a volume whose file system is served by this process: a directory with one file, "data",
// whose type it doesn't tell when it is listed.
type fuseVolume struct {
	path   string
	device *os.File
	held   atomic.Uint32
	asked  chan struct{}
	let    chan struct{}
}

// openFuseVolume is nil where the tests may not have one, and then it has skipped the test.
func openFuseVolume(t *testing.T) *fuseVolume {
	t.Helper()
	fd, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		if os.Getenv("NSGATE_REQUIRE_ROOT") == "" && errors.Is(err, os.ErrPermission) {
			t.Skipf("/dev/fuse is for root: %v", err)
		}
		t.Fatal(err)
	}
	v := &fuseVolume{path: t.TempDir(), asked: make(chan struct{}, 1), let: make(chan struct{})}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd)
	must(t, syscall.Mount("nsgate", v.path, "fuse", syscall.MS_NOSUID|syscall.MS_NODEV, options))
	v.device = os.NewFile(uintptr(fd), "/dev/fuse") // not before: the poller takes no connection that has none
	served := make(chan struct{})
	go func() {
		defer close(served)
		v.serve()
	}()
	t.Cleanup(func() {
		must(t, syscall.Unmount(v.path, syscall.MNT_DETACH))
		v.device.Close()
		<-served
	})
	return v
}

// hold has the next request of a kind wait. When it has come, asked is told; let lets it go.
func (v *fuseVolume) hold(opcode uint32) { v.held.Store(opcode) }

func (v *fuseVolume) serve() {
	buffer := make([]byte, 1<<17+4096)
	for {
		n, err := v.device.Read(buffer)
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EINTR) {
			continue // the request is no more
		}
		if err != nil {
			return
		}
		request := bytes.Clone(buffer[:n])
		opcode := binary.NativeEndian.Uint32(request[4:])
		if v.held.CompareAndSwap(opcode, 0) {
			go func() {
				v.asked <- struct{}{}
				<-v.let
				v.answer(opcode, request)
			}()
			continue
		}
		v.answer(opcode, request)
	}
}

func (v *fuseVolume) answer(opcode uint32, request []byte) {
	body := request[40:]
	var answer []any
	var errno syscall.Errno
	switch opcode {
	case fuseForget, fuseBatchForget, fuseInterrupt:
		return
	case fuseInit:
		answer = []any{[4]uint32{7, 31, 0, 0}, [2]uint16{}, [2]uint32{1 << 17, 1}, [9]uint32{}}
	case fuseLookup:
		if errno = syscall.ENOENT; string(body) == "data\x00" {
			errno, answer = 0, []any{[5]uint64{fuseData}, fuseAttributes(fuseData)}
		}
	case fuseGetattr, fuseSetattr:
		answer = []any{[2]uint64{}, fuseAttributes(binary.NativeEndian.Uint64(request[16:]))}
	case fuseOpen, fuseOpendir:
		answer = []any{[2]uint64{0, 1}} // FOPEN_DIRECT_IO
	case fuseRead:
		if binary.NativeEndian.Uint64(body[8:]) == 0 {
			answer = []any{[]byte(fuseText)}
		}
	case fuseWrite:
		answer = []any{uint64(binary.NativeEndian.Uint32(body[16:]))}
	case fuseReaddir:
		if binary.NativeEndian.Uint64(body[8:]) == 0 {
			answer = []any{[2]uint64{fuseData, 1}, [2]uint32{4, syscall.DT_UNKNOWN}, []byte("data\x00\x00\x00\x00")}
		}
	case fuseStatfs:
		answer = []any{[10]uint64{}}
	case fuseFlush, fuseRelease, fuseReleasedir:
	default:
		errno = syscall.ENOSYS
	}
	var text bytes.Buffer
	for _, part := range append([]any{-int32(errno), request[8:16]}, answer...) {
		_ = binary.Write(&text, binary.NativeEndian, part) // it has a size
	}
	whole := binary.NativeEndian.AppendUint32(nil, uint32(text.Len()+4))
	_, _ = v.device.Write(append(whole, text.Bytes()...)) // an error: nobody waits for it any more
}

// fuseAttributes is a struct fuse_attr.
func fuseAttributes(node uint64) any {
	mode := uint32(syscall.S_IFREG | 0o644)
	if node == fuseRoot {
		mode = syscall.S_IFDIR | 0o755
	}
	return struct {
		Ino, Size, Blocks                uint64
		Times                            [3]uint64
		Nanoseconds                      [3]uint32
		Mode, Nlink                      uint32
		UID, GID, Rdev, BlockSize, Flags uint32
	}{Ino: node, Size: uint64(len(fuseText)), Mode: mode, Nlink: 1}
}
