//go:build linux && cgo

package capi

// #include "nsgate.h"
import "C"

import (
	"syscall"
	"unsafe"
)

// Every function here is called by shim.c, and none lets a panic through to it.

//export nsgateGoThread
func nsgateGoThread() {
	lockThread()
}

//export nsgateGoRun
func nsgateGoRun(key C.uint64_t) {
	lockThread()
	collect()
	if run, ok := runs.Get(uint64(key)); ok {
		run.ending = Contain(run.Job.Run)
	}
	collect()
}

//export nsgateGoDone
func nsgateGoDone(key C.uint64_t, status C.nsgate_status, said *C.nsgate_error) {
	lockThread()
	collect()
	run, ok := runs.Remove(uint64(key))
	if !ok {
		return
	}
	if status == C.NSGATE_OK {
		run.Job.Done(run.ending, nil)
		return
	}
	e := new(Error)
	if said != nil {
		*e = *(*Error)(unsafe.Pointer(said))
	}
	e.answer(status)
	run.Job.Done(run.ending, e)
}

//export nsgateGoJob
func nsgateGoJob(key C.uint64_t) (answer C.int32_t) {
	lockThread()
	collect()
	answer = C.int32_t(syscall.EIO)
	if job, ok := jobs.Get(uint64(key)); ok {
		answer = C.int32_t(job())
	}
	collect()
	return answer
}

//export nsgateGoEvent
func nsgateGoEvent(subscriber, life, call C.uint64_t, networkRelease C.uint32_t) C.nsgate_status {
	collect()
	s, ok := subscribers.Get(uint64(subscriber))
	if !ok {
		return C.NSGATE_CALLBACK_FAILED
	}
	l, ok := lives.Get(uint64(life))
	if !ok {
		return C.NSGATE_CALLBACK_FAILED
	}
	c, _ := Calls.Get(uint64(call))
	if networkRelease != 0 {
		ok = s.NetworkRelease(l, c)
	} else {
		ok = s.Insert(l, c)
	}
	collect()
	if !ok {
		return C.NSGATE_CALLBACK_FAILED
	}
	return C.NSGATE_OK
}

//export nsgateGoReleased
func nsgateGoReleased(subscriber, life C.uint64_t, event *C.nsgate_event) {
	collect()
	s, ok := subscribers.Get(uint64(subscriber))
	if !ok {
		return
	}
	if l, ok := lives.Get(uint64(life)); ok {
		own := *(*Event)(unsafe.Pointer(event))
		s.Release(l, &own)
	}
	collect()
}
