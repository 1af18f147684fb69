//go:build linux && cgo

package capi

import (
	"runtime"
	"syscall"
	"time"
)

// awake is how long it is worth to look for the end of a job before parking: to be woken by another
// thread, or by one on an idle processor, costs more than a short job.
const awake = 100 * time.Microsecond

// StayAwake tells whether ended became true in a moment in which the caller stays on its thread. It
// offers the processor to other threads, the job's perhaps, but not its P to other goroutines: Gosched
// has the runtime start a thread that looks for work, and that takes the P which the job's callback needs.
func StayAwake(ended func() bool) bool {
	if runtime.GOMAXPROCS(0) == 1 {
		return false // the job needs the only P
	}
	for started := time.Now(); time.Since(started) < awake; {
		for range 32 {
			if ended() {
				return true
			}
		}
		_, _, _ = syscall.Syscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
	}
	return false
}
