//go:build linux && cgo

package capi

// #include "shim.h"
import "C"

import (
	"os"
	"runtime"
	"syscall"
)

// UnmountDetach allows a lazy unmount when the plain one stays busy.
const UnmountDetach = C.NSGATE_UNMOUNT_DETACH

func job(id uint64) C.nsgate_job { return C.nsgate_job{id: C.uint64_t(id)} }

// JobReserve reserves a release that is a function, which answers with 0 or an errno.
func JobReserve(g uint64, label string, function func() int32, out *uint64, e *Error) int32 {
	key := jobs.Add(function)
	var handle C.nsgate_job
	status := C.nsgate_go_job_reserve(gate(g), str(label), C.uint64_t(key), &handle, e.c())
	if status != C.NSGATE_OK {
		dropped(&jobs, key)
	}
	*out = uint64(handle.id)
	return e.answer(status)
}

// JobReserveDescriptor reserves the closing of a descriptor, which is taken on success.
func JobReserveDescriptor(g uint64, fd int, label string, out *uint64, e *Error) int32 {
	var handle C.nsgate_job
	status := C.nsgate_job_reserve_descriptor(gate(g), C.int(fd), str(label), &handle, e.c())
	*out = uint64(handle.id)
	return e.answer(status)
}

// JobReserveUnmount reserves the unmounting of a path.
func JobReserveUnmount(g uint64, path string, flags uint32, out *uint64, e *Error) int32 {
	var handle C.nsgate_job
	status := C.nsgate_job_reserve_unmount(gate(g), str(path), C.uint32_t(flags), &handle, e.c())
	*out = uint64(handle.id)
	return e.answer(status)
}

// JobSubmit hands the job over.
func JobSubmit(id uint64, ticket *uint64, e *Error) int32 {
	return e.answer(C.nsgate_job_submit(job(id), (*C.uint64_t)(ticket), e.c()))
}

// JobFree ends the handle; a job that was not submitted is given up.
func JobFree(id uint64, e *Error) int32 {
	return e.answer(C.nsgate_job_free(job(id), e.c()))
}

// JobReserveFile is JobReserveDescriptor for a descriptor of its own.
func JobReserveFile(g uint64, file *os.File, label string, out *uint64, e *Error) int32 {
	own, _, errno := syscall.Syscall(syscall.SYS_FCNTL, file.Fd(), syscall.F_DUPFD_CLOEXEC, 0)
	runtime.KeepAlive(file)
	if errno != 0 {
		e.SetErrno("fcntl(F_DUPFD_CLOEXEC)", errno)
		return StatusOS
	}
	status := JobReserveDescriptor(g, int(own), label, out, e)
	if status != StatusOK {
		syscall.Close(int(own))
	}
	return status
}
