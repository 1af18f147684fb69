//go:build linux && cgo

package capi

// #include "shim.h"
// #cgo noescape nsgate_go_open_file
// #cgo nocallback nsgate_go_open_file
// #cgo noescape nsgate_chroot_stat
// #cgo nocallback nsgate_chroot_stat
// #cgo noescape nsgate_chroot_lstat
// #cgo nocallback nsgate_chroot_lstat
// #cgo noescape nsgate_chroot_statfs
// #cgo nocallback nsgate_chroot_statfs
// #cgo noescape nsgate_chroot_mkdir
// #cgo nocallback nsgate_chroot_mkdir
// #cgo noescape nsgate_chroot_mkdir_all
// #cgo nocallback nsgate_chroot_mkdir_all
// #cgo noescape nsgate_chroot_remove
// #cgo nocallback nsgate_chroot_remove
// #cgo noescape nsgate_chroot_remove_all
// #cgo nocallback nsgate_chroot_remove_all
// #cgo noescape nsgate_chroot_rename
// #cgo nocallback nsgate_chroot_rename
// #cgo noescape nsgate_chroot_link
// #cgo nocallback nsgate_chroot_link
// #cgo noescape nsgate_chroot_symlink
// #cgo nocallback nsgate_chroot_symlink
// #cgo noescape nsgate_chroot_read_link
// #cgo nocallback nsgate_chroot_read_link
// #cgo noescape nsgate_chroot_real_path
// #cgo nocallback nsgate_chroot_real_path
// #cgo noescape nsgate_chroot_chmod
// #cgo nocallback nsgate_chroot_chmod
// #cgo noescape nsgate_chroot_chown
// #cgo nocallback nsgate_chroot_chown
// #cgo noescape nsgate_chroot_lchown
// #cgo nocallback nsgate_chroot_lchown
// #cgo noescape nsgate_chroot_set_times
// #cgo nocallback nsgate_chroot_set_times
// #cgo noescape nsgate_chroot_truncate
// #cgo nocallback nsgate_chroot_truncate
// #cgo noescape nsgate_chroot_temp_file
// #cgo nocallback nsgate_chroot_temp_file
import "C"

import (
	"syscall"
	"unsafe"
)

// Flags of file operations.
const (
	RenameNoreplace = C.NSGATE_RENAME_NOREPLACE
	RenameExchange  = C.NSGATE_RENAME_EXCHANGE
	TimesNofollow   = C.NSGATE_TIMES_NOFOLLOW
)

// OpenFile opens a file; flags are those of open(2). What can't seek, such as a FIFO, waits and becomes
// non-blocking.
func OpenFile(id uint64, path string, flags int32, mode uint32, fd *int, waits *bool, e *Error) int32 {
	var out C.int
	var waiting C.uint32_t
	status := C.nsgate_go_open_file(chroot(id), str(path), C.int32_t(flags), C.uint32_t(mode), &out, &waiting, e.c())
	*fd, *waits = int(out), waiting != 0
	return e.answer(status)
}

// SetBlocking undoes what OpenFile did to one that waits.
func SetBlocking(fd int) {
	_ = syscall.SetNonblock(fd, false) // it fails for no open descriptor
}

// FileStat follows a symbolic link at the end of path.
func FileStat(id uint64, path string, out *Stat, e *Error) int32 {
	return e.answer(C.nsgate_chroot_stat(chroot(id), str(path), (*C.nsgate_stat)(unsafe.Pointer(out)), e.c()))
}

// FileLstat does not follow a symbolic link at the end of path.
func FileLstat(id uint64, path string, out *Stat, e *Error) int32 {
	return e.answer(C.nsgate_chroot_lstat(chroot(id), str(path), (*C.nsgate_stat)(unsafe.Pointer(out)), e.c()))
}

// FileStatfs describes the file system of path.
func FileStatfs(id uint64, path string, out *Statfs, e *Error) int32 {
	return e.answer(C.nsgate_chroot_statfs(chroot(id), str(path), (*C.nsgate_statfs)(unsafe.Pointer(out)), e.c()))
}

// Mkdir makes a directory.
func Mkdir(id uint64, path string, mode uint32, e *Error) int32 {
	return e.answer(C.nsgate_chroot_mkdir(chroot(id), str(path), C.uint32_t(mode), e.c()))
}

// MkdirAll makes a directory and those above it.
func MkdirAll(id uint64, path string, mode uint32, e *Error) int32 {
	return e.answer(C.nsgate_chroot_mkdir_all(chroot(id), str(path), C.uint32_t(mode), e.c()))
}

// Remove removes a file or an empty directory.
func Remove(id uint64, path string, e *Error) int32 {
	return e.answer(C.nsgate_chroot_remove(chroot(id), str(path), e.c()))
}

// RemoveAll removes path and all below it.
func RemoveAll(id uint64, path string, e *Error) int32 {
	return e.answer(C.nsgate_chroot_remove_all(chroot(id), str(path), e.c()))
}

// Rename renames; flags are those of this package.
func Rename(id uint64, from, to string, flags uint32, e *Error) int32 {
	return e.answer(C.nsgate_chroot_rename(chroot(id), str(from), str(to), C.uint32_t(flags), e.c()))
}

// Link makes a hard link.
func Link(id uint64, from, to string, e *Error) int32 {
	return e.answer(C.nsgate_chroot_link(chroot(id), str(from), str(to), e.c()))
}

// Symlink makes a symbolic link.
func Symlink(id uint64, target, link string, e *Error) int32 {
	return e.answer(C.nsgate_chroot_symlink(chroot(id), str(target), str(link), e.c()))
}

// ReadLink reads a symbolic link and returns its whole length, perhaps more than fits.
func ReadLink(id uint64, path string, buffer []byte, length *int, e *Error) int32 {
	var n C.size_t
	status := C.nsgate_chroot_read_link(chroot(id), str(path), (*C.char)(unsafe.Pointer(unsafe.SliceData(buffer))), C.size_t(len(buffer)), &n, e.c())
	*length = int(n)
	return e.answer(status)
}

// RealPath resolves all symbolic links and returns the whole length, perhaps more than fits.
func RealPath(id uint64, path string, buffer []byte, length *int, e *Error) int32 {
	var n C.size_t
	status := C.nsgate_chroot_real_path(chroot(id), str(path), (*C.char)(unsafe.Pointer(unsafe.SliceData(buffer))), C.size_t(len(buffer)), &n, e.c())
	*length = int(n)
	return e.answer(status)
}

// Chmod sets the permission bits.
func Chmod(id uint64, path string, mode uint32, e *Error) int32 {
	return e.answer(C.nsgate_chroot_chmod(chroot(id), str(path), C.uint32_t(mode), e.c()))
}

// Chown sets the owner.
func Chown(id uint64, path string, uid, gid uint32, e *Error) int32 {
	return e.answer(C.nsgate_chroot_chown(chroot(id), str(path), C.uint32_t(uid), C.uint32_t(gid), e.c()))
}

// Lchown sets the owner, of a symbolic link itself.
func Lchown(id uint64, path string, uid, gid uint32, e *Error) int32 {
	return e.answer(C.nsgate_chroot_lchown(chroot(id), str(path), C.uint32_t(uid), C.uint32_t(gid), e.c()))
}

// SetTimes sets the times that are not nil.
func SetTimes(id uint64, path string, access, modification *Time, flags uint32, e *Error) int32 {
	return e.answer(C.nsgate_chroot_set_times(chroot(id), str(path), (*C.nsgate_time)(unsafe.Pointer(access)), (*C.nsgate_time)(unsafe.Pointer(modification)), C.uint32_t(flags), e.c()))
}

// Truncate sets the length of a file.
func Truncate(id uint64, path string, length int64, e *Error) int32 {
	return e.answer(C.nsgate_chroot_truncate(chroot(id), str(path), C.int64_t(length), e.c()))
}

// TempFileRoom is how much longer than directory and prefix the path of a temporary file may be.
const TempFileRoom = 32

// TempFile makes a file with a name of its own and returns its path.
func TempFile(id uint64, directory, prefix string, fd *int, buffer []byte, length *int, e *Error) int32 {
	var out C.int
	var n C.size_t
	status := C.nsgate_chroot_temp_file(chroot(id), str(directory), str(prefix), &out, (*C.char)(unsafe.Pointer(unsafe.SliceData(buffer))), C.size_t(len(buffer)), &n, e.c())
	*fd, *length = int(out), int(n)
	return e.answer(status)
}
