package nsgate

import (
	"log/slog"
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Option sets something of a [Gate].
type Option func(*settings)

type settings struct {
	gate  capi.GateOptions
	log   *slog.Logger
	debug bool

	operations operationLimits
}

// WithLogger sets where the gate tells what nobody asked about: forgotten chroots, mostly. The default
// is slog.Default(); nil discards it. Its handler is called from a goroutine of its own, one message at a
// time: nothing waits for it, and its panics are dropped.
func WithLogger(log *slog.Logger) Option {
	return func(s *settings) { s.log = log }
}

// WithDebug keeps the stack of who opened a chroot, for the message about a forgotten one.
func WithDebug() Option {
	return func(s *settings) { s.debug = true }
}

// WithCapacity sets how many releasable things there can be at a time. The default is 65,536.
func WithCapacity(things uint32) Option {
	return func(s *settings) { s.gate.Capacity = things }
}

// WithEventCapacity sets how many release events are kept until they are read. The default is 4,096.
func WithEventCapacity(events uint32) Option {
	return func(s *settings) { s.gate.EventCapacity = events }
}

// WithNamespaceThreads sets how many jobs may run in namespaces at a time, and how long an idle thread
// stays. The defaults are 64 and 10 seconds; 0 keeps them.
func WithNamespaceThreads(threads uint32, idle time.Duration) Option {
	return func(s *settings) {
		s.gate.NamespaceThreads = threads
		s.gate.NamespaceThreadIdle = nanoseconds(idle)
	}
}

// WithFileOperations sets how many file operations may be under way at a time, of all chroots of the gate
// together and of one chroot. Each that hangs, as in open(2) of a FIFO, keeps a thread of Go, which ends
// the program when it has 10,000 (see debug.SetMaxThreads) or the system gives it no more. So the limits on
// threads, pids.max of the cgroup and RLIMIT_NPROC of the user, must be above the gate's number, with room
// for the other threads of the process, and debug.SetMaxThreads too.
//
// Chroots whose operations hang leave room to others: the fewer are free for the gate, the fewer one
// chroot gets. A single one gets half of them; ten that take what they can leave a twentieth, and who has
// none under way may begin one as long as there is any. The opening of chroots counts as one chroot more.
// An operation that may not begin waits without a thread, and is refused with [ErrFull] when patience has
// passed.
//
// What is done with an open file is no operation of the chroot, unless in [Chroot.FileOperation]; ReadFile and
// WriteFile are one each, with all they do.
//
// The defaults are 4,096, which lets a chroot have 2,048, no other limit for a chroot, and a second; 0
// keeps the limits, and refuses at once as patience.
func WithFileOperations(gate, perChroot uint32, patience time.Duration) Option {
	return func(s *settings) { s.operations = operationLimits{gate, perChroot, patience} }
}

// WithWorkers sets how many workers there are for releases that may block, and how many more may stand
// in for stuck ones. The defaults are 4 and 16; 0 keeps them.
func WithWorkers(blocking, replacements uint32) Option {
	return func(s *settings) {
		s.gate.BlockingWorkers = blocking
		s.gate.ReplacementWorkers = replacements
	}
}

// WithBudgets sets how long a release by the library, a release that may block and a subscriber's call
// may take before they count as stuck or slow. The defaults are 1 s, 5 s and 1 ms; 0 keeps them.
func WithBudgets(native, blocking, callback time.Duration) Option {
	return func(s *settings) {
		s.gate.NativeBudget = nanoseconds(native)
		s.gate.BlockingBudget = nanoseconds(blocking)
		s.gate.CallbackBudget = nanoseconds(callback)
	}
}

// WithRetry sets how a release is tried again after EBUSY, EINTR, EAGAIN or ENOMEM: pauses from first to
// longest, bounded by attempts and by age. The defaults are 1 ms, 1 s, 10 and 30 s; 0 keeps them.
func WithRetry(first, longest time.Duration, attempts uint32, age time.Duration) Option {
	return func(s *settings) {
		s.gate.RetryFirstPause = nanoseconds(first)
		s.gate.RetryLongestPause = nanoseconds(longest)
		s.gate.RetryAttempts = attempts
		s.gate.RetryAge = nanoseconds(age)
	}
}

func nanoseconds(d time.Duration) uint64 { return uint64(max(d, 0)) }
