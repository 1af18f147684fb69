//go:build linux && cgo

package capi

// #include "shim.h"
// #cgo noescape nsgate_gate_wait
// #cgo nocallback nsgate_gate_wait
// #cgo noescape nsgate_gate_fence_at
// #cgo nocallback nsgate_gate_fence_at
// #cgo noescape nsgate_gate_read_events
// #cgo nocallback nsgate_gate_read_events
// #cgo noescape nsgate_gate_stats
// #cgo nocallback nsgate_gate_stats
import "C"

import (
	"os"
	"syscall"
	"unsafe"
)

func gate(id uint64) C.nsgate_gate { return C.nsgate_gate{id: C.uint64_t(id)} }

// GateOpen opens a gate.
func GateOpen(options *GateOptions, out *uint64, e *Error) int32 {
	own := *options // C is shown nothing of what the caller's are part of
	own.size = uint32(unsafe.Sizeof(own))
	var handle C.nsgate_gate
	status := C.nsgate_go_gate_open((*C.nsgate_gate_options)(unsafe.Pointer(&own)), &handle, e.c())
	*out = uint64(handle.id)
	return e.answer(status)
}

// GateBeginClose lets a gate refuse new resources.
func GateBeginClose(id uint64, e *Error) int32 {
	return e.answer(C.nsgate_gate_begin_close(gate(id), e.c()))
}

// GateClose closes a gate, waiting as long as timeout says. Its handle stays.
func GateClose(id uint64, timeout int64, out *Report, e *Error) int32 {
	out.size = uint32(unsafe.Sizeof(*out))
	return e.answer(C.nsgate_gate_close(gate(id), C.int64_t(timeout), (*C.nsgate_report)(unsafe.Pointer(out)), e.c()))
}

// GateFree ends the handle.
func GateFree(id uint64, e *Error) int32 { return e.answer(C.nsgate_gate_free(gate(id), e.c())) }

// GateFeatures tells what the kernel can do.
func GateFeatures(id uint64, out *Features, e *Error) int32 {
	out.size = uint32(unsafe.Sizeof(*out))
	return e.answer(C.nsgate_gate_features(gate(id), (*C.nsgate_features)(unsafe.Pointer(out)), e.c()))
}

// GateStats reads the statistics.
func GateStats(id uint64, out *Stats, e *Error) int32 {
	out.size = uint32(unsafe.Sizeof(*out))
	return e.answer(C.nsgate_gate_stats(gate(id), (*C.nsgate_stats)(unsafe.Pointer(out)), e.c()))
}

// GateLook returns the outcome of a ticket, or TIMED_OUT while there is none.
func GateLook(id, ticket uint64, out *Event, e *Error) int32 {
	return e.answer(C.nsgate_gate_wait(gate(id), C.uint64_t(ticket), 0, (*C.nsgate_event)(unsafe.Pointer(out)), e.c()))
}

// GateCancel cancels a release that has not started.
func GateCancel(id, ticket uint64, e *Error) int32 {
	return e.answer(C.nsgate_gate_cancel(gate(id), C.uint64_t(ticket), e.c()))
}

// GateFenceAt tells whether the first so many releases have ended: TIMED_OUT if not.
func GateFenceAt(id, adds uint64, e *Error) int32 {
	return e.answer(C.nsgate_gate_fence_at(gate(id), C.uint64_t(adds), 0, e.c()))
}

// GateDrain looks at what is left, without waiting.
func GateDrain(id uint64, out *Report, e *Error) int32 {
	out.size = uint32(unsafe.Sizeof(*out))
	return e.answer(C.nsgate_gate_drain(gate(id), 0, (*C.nsgate_report)(unsafe.Pointer(out)), e.c()))
}

// GateReportItems lists what is left and returns how many there are, perhaps more than fit.
func GateReportItems(id uint64, buffer []ReportItem, count *int, e *Error) int32 {
	var n C.size_t
	status := C.nsgate_gate_report_items(gate(id), (*C.nsgate_report_item)(unsafe.Pointer(unsafe.SliceData(buffer))), C.size_t(len(buffer)), &n, e.c())
	*count = int(n)
	return e.answer(status)
}

// GateRetryFailed gives a failed release another try, under a new ticket.
func GateRetryFailed(id, ticket uint64, out *uint64, e *Error) int32 {
	return e.answer(C.nsgate_gate_retry_failed(gate(id), C.uint64_t(ticket), (*C.uint64_t)(out), e.c()))
}

// GateForgetFailed takes a failed release from the list.
func GateForgetFailed(id, ticket uint64, e *Error) int32 {
	return e.answer(C.nsgate_gate_forget_failed(gate(id), C.uint64_t(ticket), e.c()))
}

// GateReadEvents takes events from the gate's ring.
func GateReadEvents(id uint64, buffer []Event, count *int, e *Error) int32 {
	var n C.size_t
	status := C.nsgate_gate_read_events(gate(id), (*C.nsgate_event)(unsafe.Pointer(unsafe.SliceData(buffer))), C.size_t(len(buffer)), &n, e.c())
	*count = int(n)
	return e.answer(status)
}

// GateEvents returns a file of its own that is readable when there are events.
func GateEvents(id uint64, out **os.File, e *Error) int32 {
	var fd C.int
	if status := C.nsgate_gate_event_fd(gate(id), &fd, e.c()); status != C.NSGATE_OK {
		return e.answer(status)
	}
	own, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		e.SetErrno("fcntl(F_DUPFD_CLOEXEC)", errno)
		return StatusOS
	}
	if err := syscall.SetNonblock(int(own), true); err != nil {
		syscall.Close(int(own))
		e.SetErrno("fcntl(O_NONBLOCK)", err.(syscall.Errno))
		return StatusOS
	}
	*out = os.NewFile(own, "nsgate events")
	return StatusOK
}
