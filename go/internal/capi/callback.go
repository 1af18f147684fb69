package capi

// Job is what runs on a namespace thread.
type Job interface {
	// Run is called there, at most once.
	Run()
	// Done is called once after it, or instead of it, if the start was answered with OK. It must not
	// block. The error is nil if Run was called and the thread is back home.
	Done(ending Ending, err *Error)
}

// Run is the start of a job. It holds what C is shown, which Go would otherwise allocate one by one.
type Run struct {
	Job    Job
	Error  Error // of a start that was not answered with OK
	key    uint64
	number uint64 // the library's
	ran    uint32
	ending Ending
}

// Subscriber is called for the events of a map. life and call are what was given to MapRegister and
// Calls.
type Subscriber interface {
	Insert(life, call any) (ok bool)
	NetworkRelease(life, call any) (ok bool)
	// Release is called by the mailbox's reader.
	Release(life any, event *Event)
	// Ended is called by the mailbox's reader, after the last call of the others.
	Ended()
}

// Answer is what a call with callbacks says. Go keeps the arguments of such a call on the heap: it is
// one object, to be used again.
type Answer struct {
	Changed   uint32
	Outermost uint64 // the call in one of whose callbacks this one was made, 0 if in none
	Error     Error
}

var (
	runs        Registry[*Run]
	jobs        Registry[func() int32]
	lives       Registry[any]
	subscribers Registry[Subscriber]
	// Calls holds what callbacks have to know about the call that caused them.
	Calls Registry[any]
)

// Live returns how many values C can still ask for, for tests.
func Live() (running, jobsLeft, lifes, subscriptions, calls int) {
	return runs.Len(), jobs.Len(), lives.Len(), subscribers.Len(), Calls.Len()
}
