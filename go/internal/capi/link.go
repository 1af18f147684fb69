//go:build linux && cgo

package capi

/*
#cgo CFLAGS: -I${SRCDIR} -std=gnu11 -Wall
#cgo LDFLAGS: ${SRCDIR}/libnsgate.a -lpthread -ldl -lm
#include "shim.h"
*/
import "C"

import "unsafe"

// Version returns the version of the library.
func Version() string { return C.GoString(C.nsgate_version()) }

// StatusName returns the name of a status as the C header spells it.
func StatusName(status int32) string {
	return C.GoString(C.nsgate_status_name(C.nsgate_status(status)))
}

// str lends a string to C for the time of a call.
func str(s string) C.nsgate_string {
	return C.nsgate_string{
		data:   (*C.char)(unsafe.Pointer(unsafe.StringData(s))),
		length: C.size_t(len(s)),
	}
}

// c is the last argument of a call.
func (e *Error) c() *C.nsgate_error {
	collect()
	return (*C.nsgate_error)(unsafe.Pointer(e))
}

// answer returns the status of a call, and completes e where a call of the shim could not say more.
func (e *Error) answer(status C.nsgate_status) int32 {
	collect()
	if status != C.NSGATE_OK && e != nil && e.Status == StatusOK {
		e.Status = int32(status)
	}
	return int32(status)
}

// The layouts on both sides are the same, or this doesn't compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(Error{})-C.sizeof_nsgate_error]
	_ = [1]struct{}{}[unsafe.Sizeof(GateOptions{})-C.sizeof_nsgate_gate_options]
	_ = [1]struct{}{}[unsafe.Sizeof(Features{})-C.sizeof_nsgate_features]
	_ = [1]struct{}{}[unsafe.Sizeof(Event{})-C.sizeof_nsgate_event]
	_ = [1]struct{}{}[unsafe.Sizeof(Report{})-C.sizeof_nsgate_report]
	_ = [1]struct{}{}[unsafe.Sizeof(ReportItem{})-C.sizeof_nsgate_report_item]
	_ = [1]struct{}{}[unsafe.Sizeof(Stats{})-C.sizeof_nsgate_stats]
	_ = [1]struct{}{}[unsafe.Sizeof(NamespaceID{})-C.sizeof_nsgate_namespace_id]
	_ = [1]struct{}{}[unsafe.Sizeof(Stat{})-C.sizeof_nsgate_stat]
	_ = [1]struct{}{}[unsafe.Sizeof(Statfs{})-C.sizeof_nsgate_statfs]
	_ = [1]struct{}{}[unsafe.Sizeof(DirectoryEntry{})-C.sizeof_nsgate_directory_entry]
	_ = [1]struct{}{}[unsafe.Sizeof(Address{})-C.sizeof_nsgate_address]
	_ = [1]struct{}{}[unsafe.Sizeof(SubscriberStats{})-C.sizeof_nsgate_subscriber_stats]
	_ = [1]struct{}{}[unsafe.Sizeof(SandboxDetails{})-C.sizeof_nsgate_sandbox_details]

	_ = [1]struct{}{}[unsafe.Offsetof(GateOptions{}.RetryAttempts)-C.offsetof_retry_attempts]
	_ = [1]struct{}{}[unsafe.Offsetof(Stats{}.Unfinished)-C.offsetof_unfinished]
	_ = [1]struct{}{}[unsafe.Offsetof(Event{}.OSError)-C.offsetof_event_os_error]
	_ = [1]struct{}{}[unsafe.Offsetof(Stat{}.SpecialDevice)-C.offsetof_special_device]
	_ = [1]struct{}{}[unsafe.Offsetof(SandboxDetails{}.Attached)-C.offsetof_attached]
)
