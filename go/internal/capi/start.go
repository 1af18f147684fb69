//go:build linux && cgo

package capi

// #include "shim.h"
// #cgo nocallback nsgate_go_place
import "C"

// start begins a run. Inside another run on this thread the library runs it before it returns, and then
// Done is called here.
func start(run *Run, begin func(key C.uint64_t, ran *C.uint32_t, number *C.uint64_t, e *C.nsgate_error) C.nsgate_status) int32 {
	key := runs.Add(run)
	run.key = key
	status := begin(C.uint64_t(key), (*C.uint32_t)(&run.ran), (*C.uint64_t)(&run.number), run.Error.c())
	if status != C.NSGATE_OK {
		runs.Remove(key)
		return run.Error.answer(status)
	}
	if run.ran != 0 {
		runs.Remove(key)
		run.Job.Done(run.ending, nil)
	}
	return StatusOK
}

// TakeBack takes a run of the gate out of the queue: neither Run nor Done is called. False if its turn
// has come.
func (run *Run) TakeBack(g uint64) bool {
	if C.nsgate_gate_take_back(gate(g), C.uint64_t(run.number), nil) != C.NSGATE_OK {
		return false
	}
	runs.Remove(run.key)
	return true
}

// Place tells whether the calling thread is in a subscriber's callback, or is a namespace thread.
type Place uint32

// Parts of a Place.
const (
	InCallback    Place = C.NSGATE_GO_IN_CALLBACK
	InRelease     Place = C.NSGATE_GO_IN_RELEASE
	InThisRelease Place = C.NSGATE_GO_IN_THIS_RELEASE
	Known         Place = C.NSGATE_GO_KNOWN
)

// WhereAmI returns the place of the calling thread, as seen by the subscriber with a number.
func WhereAmI(subscriber uint64) Place { return Place(C.nsgate_go_place(C.uint64_t(subscriber))) }
