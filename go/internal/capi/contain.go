package capi

import (
	"iter"
	"runtime"
	"runtime/debug"
)

// Ending tells how a function ended.
type Ending struct {
	Panicked bool
	Value    any    // of the panic
	Stack    []byte // where it panicked
	Goexit   bool   // ended by runtime.Goexit, as t.FailNow does
}

const (
	// threadLocks is how often a goroutine is locked to a thread that the library lends: more than once,
	// so that a job that unlocks once too often changes nothing.
	threadLocks = 8
	// mostLocks is how many locks a job may leave behind.
	mostLocks = 64
)

// lockThread binds the goroutine to a thread of the library: it is what a callback does first. Without
// it the runtime would start new threads from this one, which may be in a sandbox's namespace, and they
// would stay there. It is never undone: Go sees the thread only as long as the library lends it.
//
// Locks are left from former callbacks, from a thread that has ended and whose record in the runtime
// this one has got, and from a job that waits for us inside itself. So they are counted anew.
func lockThread() {
	runtime.LockOSThread()
	restoreLocks()
}

// Contain calls function and returns however it ends, in a callback that has called lockThread.
//
// A panic is easily kept. But runtime.Goexit can't be stopped in its own goroutine, and it must not
// end this one: C frames are below it. So function gets a goroutine of its own, a coroutine: it runs on
// the same thread, in our place. Goexit runs the deferred function, which panics; iter.Pull hands that
// to us, and no Goexit.
//
// Coroutines want the locks of the thread as they were, whatever the job did with them.
func Contain(function func()) (ending Ending) {
	next, _ := iter.Pull(func(func(struct{}) bool) {
		returned := false
		defer func() {
			if value := recover(); value != nil {
				ending = Ending{Panicked: true, Value: value, Stack: debug.Stack()}
			} else if !returned {
				ending = Ending{Goexit: true}
			}
			restoreLocks()
			if !returned {
				panic(&ending) // also after a panic: it may have come while Goexit was on its way
			}
		}()
		function()
		returned = true
	})
	defer func() {
		if value := recover(); value != nil && value != any(&ending) {
			panic(value)
		}
	}()
	next()
	return ending
}

// restoreLocks sets the number of thread locks to threadLocks, from whatever it is. On the way it is 0:
// that nobody takes the processor away meanwhile, preemption is held off, and what is called here has
// no points for it.
func restoreLocks() {
	procPin()
	for range mostLocks {
		runtime.UnlockOSThread()
	}
	for range threadLocks {
		runtime.LockOSThread()
	}
	procUnpin()
}
