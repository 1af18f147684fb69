//go:build linux && cgo

package capi

// #include "shim.h"
// #cgo noescape nsgate_sandbox_info
// #cgo nocallback nsgate_sandbox_info
// #cgo noescape nsgate_sandbox_attach
// #cgo nocallback nsgate_sandbox_attach
// #cgo noescape nsgate_sandbox_retain
// #cgo nocallback nsgate_sandbox_retain
// #cgo noescape nsgate_sandbox_assign_network
// #cgo nocallback nsgate_sandbox_assign_network
import "C"

import "unsafe"

// Change is a change of a life's state.
type Change uint32

// The changes.
const (
	ChangeRunning         Change = C.NSGATE_GO_RUNNING
	ChangeStopping        Change = C.NSGATE_GO_STOPPING
	ChangeStopped         Change = C.NSGATE_GO_STOPPED
	ChangeNetworkReleased Change = C.NSGATE_GO_NETWORK_RELEASED
)

func sandbox(id uint64) C.nsgate_sandbox { return C.nsgate_sandbox{id: C.uint64_t(id)} }

// SandboxChange changes a life and calls its subscribers, which find call by its number.
func SandboxChange(change Change, id, call uint64, out *Answer) int32 {
	return out.Error.answer(C.nsgate_go_change(C.uint32_t(change), sandbox(id), C.uint64_t(call),
		(*C.uint32_t)(&out.Changed), (*C.uint64_t)(&out.Outermost), out.Error.c()))
}

// SandboxAssignNetwork gives a life its network address.
func SandboxAssignNetwork(id uint64, address Address, changed *bool, e *Error) int32 {
	var c C.uint32_t
	status := C.nsgate_sandbox_assign_network(sandbox(id), address.c(), &c, e.c())
	*changed = c != 0
	return e.answer(status)
}

// SandboxAttach attaches a chroot.
func SandboxAttach(id, chrootID uint64, e *Error) int32 {
	return e.answer(C.nsgate_sandbox_attach(sandbox(id), chroot(chrootID), e.c()))
}

// SandboxAttachJob attaches a job.
func SandboxAttachJob(id, jobID uint64, e *Error) int32 {
	return e.answer(C.nsgate_sandbox_attach_job(sandbox(id), job(jobID), e.c()))
}

// SandboxDetach detaches a chroot.
func SandboxDetach(id, chrootID uint64, changed *bool, e *Error) int32 {
	var c C.uint32_t
	status := C.nsgate_sandbox_detach(sandbox(id), chroot(chrootID), &c, e.c())
	*changed = c != 0
	return e.answer(status)
}

// SandboxInfo describes a life.
func SandboxInfo(id uint64, out *SandboxDetails, e *Error) int32 {
	out.size = uint32(unsafe.Sizeof(*out))
	return e.answer(C.nsgate_sandbox_info(sandbox(id), (*C.nsgate_sandbox_details)(unsafe.Pointer(out)), e.c()))
}

// SandboxRetain takes a further reference.
func SandboxRetain(id uint64, e *Error) int32 {
	return e.answer(C.nsgate_sandbox_retain(sandbox(id), e.c()))
}

// SandboxFree gives a reference back.
func SandboxFree(id uint64, e *Error) int32 {
	return e.answer(C.nsgate_sandbox_free(sandbox(id), e.c()))
}
