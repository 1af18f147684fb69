//go:build linux && cgo

package capi

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// awake is how long it is worth to look for the end of a job before parking: to be woken by another
// thread, or by one on an idle processor, costs more than a short job.
const awake = 100 * time.Microsecond

var (
	lookers   atomic.Int32 // how many goroutines look
	parkFirst atomic.Bool  // the last one that looked did so in vain
)

// StayAwake tells whether the word got the value in a moment in which the caller stays on its thread. It
// offers the processor to other threads, the job's perhaps, but not its P to other goroutines: Gosched
// has the runtime start a thread that looks for work, and that takes the P which the job's callback needs.
//
// One P is left for those callbacks: where it would be taken, too, nobody looks. After a wait in vain the
// next one parks at once: jobs may be long, or the processor one that others want.
func StayAwake(word *atomic.Int32, value int32) bool {
	defer lookers.Add(-1)
	if int(lookers.Add(1)) >= runtime.GOMAXPROCS(0) || parkFirst.Swap(false) {
		return false
	}
	for started := time.Now(); time.Since(started) < awake; {
		for range 32 {
			if word.Load() == value {
				return true
			}
		}
		_, _, _ = syscall.Syscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) // has no way to fail
	}
	parkFirst.Store(true)
	return word.Load() == value
}
