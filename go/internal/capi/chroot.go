//go:build linux && cgo

package capi

// #include "shim.h"
// #cgo noescape nsgate_chroot_open
// #cgo nocallback nsgate_chroot_open
// #cgo noescape nsgate_chroot_open_chroot
// #cgo nocallback nsgate_chroot_open_chroot
// #cgo noescape nsgate_chroot_release
// #cgo nocallback nsgate_chroot_release
// #cgo noescape nsgate_chroot_is_closed
// #cgo nocallback nsgate_chroot_is_closed
// #cgo noescape nsgate_chroot_ticket
// #cgo nocallback nsgate_chroot_ticket
import "C"

import "unsafe"

// Flags of a chroot.
const (
	ChrootReadOnly     = C.NSGATE_CHROOT_READ_ONLY
	ChrootAllowSuid    = C.NSGATE_CHROOT_ALLOW_SUID
	ChrootAllowDevices = C.NSGATE_CHROOT_ALLOW_DEVICES
	ChrootNoexec       = C.NSGATE_CHROOT_NOEXEC
	ChrootNosymfollow  = C.NSGATE_CHROOT_NOSYMFOLLOW
	ChrootSlave        = C.NSGATE_CHROOT_SLAVE
	ChrootNotRecursive = C.NSGATE_CHROOT_NOT_RECURSIVE
	ChrootNofollow     = C.NSGATE_CHROOT_NOFOLLOW
)

func chroot(id uint64) C.nsgate_chroot { return C.nsgate_chroot{id: C.uint64_t(id)} }

// ChrootOpen opens a chroot of a volume.
func ChrootOpen(g uint64, volume string, flags uint32, out *uint64, e *Error) int32 {
	options := C.nsgate_chroot_options{size: C.sizeof_nsgate_chroot_options, flags: C.uint32_t(flags)}
	var handle C.nsgate_chroot
	status := C.nsgate_chroot_open(gate(g), str(volume), &options, &handle, e.c())
	*out = uint64(handle.id)
	return e.answer(status)
}

// ChrootOpenChroot opens a chroot of a directory in a chroot.
func ChrootOpenChroot(id uint64, path string, flags uint32, out *uint64, e *Error) int32 {
	options := C.nsgate_chroot_options{size: C.sizeof_nsgate_chroot_options, flags: C.uint32_t(flags)}
	var handle C.nsgate_chroot
	status := C.nsgate_chroot_open_chroot(chroot(id), str(path), &options, &handle, e.c())
	*out = uint64(handle.id)
	return e.answer(status)
}

// ChrootStart starts a run. From inside another run it has ended when this returns OK.
func ChrootStart(id uint64, run *Run) int32 {
	return start(run, func(key C.uint64_t, ran *C.uint32_t, number *C.uint64_t, e *C.nsgate_error) C.nsgate_status {
		return C.nsgate_go_chroot_start(chroot(id), key, ran, number, e)
	})
}

// ChrootIdentify tells which mount namespace is the chroot's.
func ChrootIdentify(id uint64, out *NamespaceID, e *Error) int32 {
	return e.answer(C.nsgate_chroot_identify(chroot(id), (*C.nsgate_namespace_id)(unsafe.Pointer(out)), e.c()))
}

// ChrootBeforeRelease sets what has to be done before the chroot is released.
func ChrootBeforeRelease(id uint64, function func() int32, e *Error) int32 {
	key := jobs.Add(function)
	status := C.nsgate_go_before_release(chroot(id), C.uint64_t(key), e.c())
	if status != C.NSGATE_OK {
		dropped(&jobs, key)
	}
	return e.answer(status)
}

// ChrootRelease hands the chroot over for release.
func ChrootRelease(id uint64, ticket *uint64, e *Error) int32 {
	return e.answer(C.nsgate_chroot_release(chroot(id), (*C.uint64_t)(ticket), e.c()))
}

// ChrootTicket gives the ticket of the chroot's release, 0 while it is open.
func ChrootTicket(id uint64, out *uint64, e *Error) int32 {
	return e.answer(C.nsgate_chroot_ticket(chroot(id), (*C.uint64_t)(out), e.c()))
}

// ChrootCancelRelease makes the chroot open again, if its release has not started.
func ChrootCancelRelease(id uint64, e *Error) int32 {
	return e.answer(C.nsgate_chroot_cancel_release(chroot(id), e.c()))
}

// ChrootIsClosed tells whether the chroot was released.
func ChrootIsClosed(id uint64, out *bool, e *Error) int32 {
	var closed C.uint32_t
	status := C.nsgate_chroot_is_closed(chroot(id), &closed, e.c())
	*out = closed != 0
	return e.answer(status)
}

// ChrootFree ends the handle, and releases what nobody has released.
func ChrootFree(id uint64, e *Error) int32 {
	return e.answer(C.nsgate_chroot_free(chroot(id), e.c()))
}
