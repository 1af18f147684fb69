//go:build linux && cgo

package capi

// #include "shim.h"
import "C"

import "unsafe"

func namespace(id uint64) C.nsgate_namespace { return C.nsgate_namespace{id: C.uint64_t(id)} }

// NamespaceOpenPath opens a mount namespace by a path.
func NamespaceOpenPath(g uint64, path string, out *uint64, e *Error) int32 {
	return namespaceOpen(out, e, func(handle *C.nsgate_namespace) C.nsgate_status {
		return C.nsgate_namespace_open_path(gate(g), str(path), handle, e.c())
	})
}

// NamespaceOpenPid opens the mount namespace of a process.
func NamespaceOpenPid(g uint64, pid int32, out *uint64, e *Error) int32 {
	return namespaceOpen(out, e, func(handle *C.nsgate_namespace) C.nsgate_status {
		return C.nsgate_namespace_open_pid(gate(g), C.int32_t(pid), handle, e.c())
	})
}

// NamespaceOpenFd opens the mount namespace of a descriptor, which stays the caller's.
func NamespaceOpenFd(g uint64, fd uintptr, out *uint64, e *Error) int32 {
	return namespaceOpen(out, e, func(handle *C.nsgate_namespace) C.nsgate_status {
		return C.nsgate_namespace_open_fd(gate(g), C.int(fd), handle, e.c())
	})
}

// NamespaceOpenCurrent opens the mount namespace of the calling thread.
func NamespaceOpenCurrent(g uint64, out *uint64, e *Error) int32 {
	return namespaceOpen(out, e, func(handle *C.nsgate_namespace) C.nsgate_status {
		return C.nsgate_namespace_open_current(gate(g), handle, e.c())
	})
}

// NamespaceCreate makes a copy of the process's mount namespace.
func NamespaceCreate(g uint64, out *uint64, e *Error) int32 {
	return namespaceOpen(out, e, func(handle *C.nsgate_namespace) C.nsgate_status {
		return C.nsgate_namespace_create(gate(g), handle, e.c())
	})
}

func namespaceOpen(out *uint64, e *Error, open func(*C.nsgate_namespace) C.nsgate_status) int32 {
	var handle C.nsgate_namespace
	status := open(&handle)
	*out = uint64(handle.id)
	return e.answer(status)
}

// NamespaceStart is ChrootStart for a mount namespace.
func NamespaceStart(id uint64, run *Run) int32 {
	return start(run, func(key C.uint64_t, ran *C.uint32_t, number *C.uint64_t, e *C.nsgate_error) C.nsgate_status {
		return C.nsgate_go_namespace_start(namespace(id), key, ran, number, e)
	})
}

// NamespaceIdentify tells which mount namespace it is.
func NamespaceIdentify(id uint64, out *NamespaceID, e *Error) int32 {
	return e.answer(C.nsgate_namespace_identify(namespace(id), (*C.nsgate_namespace_id)(unsafe.Pointer(out)), e.c()))
}

// NamespaceRelease hands the namespace over for release and ends the handle.
func NamespaceRelease(id uint64, ticket *uint64, e *Error) int32 {
	return e.answer(C.nsgate_namespace_release(namespace(id), (*C.uint64_t)(ticket), e.c()))
}
