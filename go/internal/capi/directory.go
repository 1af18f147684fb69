//go:build linux && cgo

package capi

// #include "shim.h"
// #cgo noescape nsgate_chroot_open_directory
// #cgo nocallback nsgate_chroot_open_directory
// #cgo noescape nsgate_directory_read
// #cgo nocallback nsgate_directory_read
import "C"

import (
	"syscall"
	"unsafe"
)

// DirectoryWithStat asks for the attributes of each entry.
const DirectoryWithStat = C.NSGATE_DIRECTORY_WITH_STAT

func directory(id uint64) C.nsgate_directory { return C.nsgate_directory{id: C.uint64_t(id)} }

// DirectoryOpen opens a directory for reading its entries.
func DirectoryOpen(id uint64, path string, out *uint64, e *Error) int32 {
	var handle C.nsgate_directory
	status := C.nsgate_chroot_open_directory(chroot(id), str(path), &handle, e.c())
	*out = uint64(handle.id)
	return e.answer(status)
}

// DirectoryRead fills the buffer, aligned as uint64 is, with records; used is 0 at the end.
func DirectoryRead(id uint64, buffer []uint64, flags uint32, used *int, e *Error) int32 {
	var n C.size_t
	status := C.nsgate_directory_read(directory(id), unsafe.Pointer(unsafe.SliceData(buffer)), C.size_t(len(buffer)*8), C.uint32_t(flags), &n, e.c())
	*used = int(n)
	return e.answer(status)
}

// DirectoryClose ends the handle.
func DirectoryClose(id uint64, e *Error) int32 {
	return e.answer(C.nsgate_directory_close(directory(id), e.c()))
}

// ReadDirent is getdents64(2), which a signal doesn't interrupt.
func ReadDirent(fd int, buffer []byte) (n int, err error) {
	for {
		if n, err = syscall.ReadDirent(fd, buffer); err != syscall.EINTR {
			return n, err
		}
	}
}
