package capi

import "syscall"

// The structs here have the layout of their C namesakes, which the cgo build checks.

// Statuses of the C ABI.
const (
	StatusOK = iota
	StatusInvalidArgument
	StatusInvalidHandle
	StatusInvalidState
	StatusClosed
	StatusFull
	StatusNotFound
	StatusAlreadyExists
	StatusWrongThread
	StatusWrongOrder
	StatusWrongLifecycle
	StatusTainted
	StatusWouldDeadlock
	StatusTimedOut
	StatusUnsupported
	StatusOS
	StatusPanic
	StatusCallbackFailed
)

// NoDeadline is the time-out of a wait without end.
const NoDeadline = 1<<63 - 1

// Error is what a failed call said.
type Error struct {
	Status  int32
	OSError int32
	message [248]byte
}

// Message returns what the call said, for the reader.
func (e *Error) Message() string { return text(e.message[:]) }

// Set makes e an error of Go's side of the border.
func (e *Error) Set(status int32, message string) {
	*e = Error{Status: status}
	copy(e.message[:len(e.message)-1], message)
}

// SetErrno makes e the error of a system call made by Go.
func (e *Error) SetErrno(call string, errno syscall.Errno) {
	e.Set(StatusOS, call+": "+errno.Error())
	e.OSError = int32(errno)
}

// text is the string in a buffer that C filled.
func text(buffer []byte) string {
	for i, b := range buffer {
		if b == 0 {
			return string(buffer[:i])
		}
	}
	return string(buffer)
}

// GateOptions mirrors nsgate_gate_options.
type GateOptions struct {
	size                                                              uint32
	Capacity, EventCapacity, NamespaceThreads                         uint32
	BlockingWorkers, ReplacementWorkers                               uint32
	NamespaceThreadIdle, NativeBudget, BlockingBudget, CallbackBudget uint64
	RetryFirstPause, RetryLongestPause, RetryAge                      uint64
	RetryAttempts                                                     uint32
	reserved                                                          uint32
	threadStart                                                       uintptr // by nsgate_go_gate_open
}

// Features mirrors nsgate_features.
type Features struct {
	size                                                                           uint32
	MountSetattr, OpenTreeNamespace, Fchmodat2, NsID, MountProof, DissolveTogether uint32
}

// Event mirrors nsgate_event.
type Event struct {
	Sequence, Ticket, Queued, Worked uint64
	Kind, Outcome, Attempts          uint32
	OSError                          int32
	Proof, HeldDescriptors           uint32
	BeforeReleaseFailed              uint32
	BeforeReleaseOSError             int32
}

// Report mirrors nsgate_report.
type Report struct {
	size, reserved                                uint32
	Released, Failed, Abandoned, Remaining, Stuck uint64
}

// ReportItem mirrors nsgate_report_item.
type ReportItem struct {
	Ticket, Age           uint64
	Kind, State, Attempts uint32
	OSError               int32
	label, detail         [256]byte
}

// Label returns what the item is called.
func (i *ReportItem) Label() string { return text(i.label[:]) }

// Detail returns what the item hangs in, where that is known.
func (i *ReportItem) Detail() string { return text(i.detail[:]) }

// Histogram mirrors nsgate_histogram.
type Histogram struct {
	Count, Sum uint64
	Buckets    [16]uint64
}

// Stats mirrors nsgate_stats.
type Stats struct {
	size, reserved                                     uint32
	Depth, Adds, InFlight, Released, Failed, Cancelled uint64
	Abandoned, Retries, ReservedPlaces, Capacity       uint64
	Stuck, FailedList, Verified, Held, Unverified      uint64
	BeforeReleaseFailed, EventsDropped, EventsPending  uint64
	SlowCallbacks, SubscriberPanics                    uint64
	Workers, ReplacementWorkers                        uint64
	OldestQueued, LongestRunning, Unfinished           uint64
	QueueDuration, WorkDuration                        Histogram
}

// NamespaceID mirrors nsgate_namespace_id.
type NamespaceID struct{ Device, Inode, NsID uint64 }

// Time mirrors nsgate_time.
type Time struct {
	Seconds     int64
	Nanoseconds uint32
	reserved    uint32
}

// Stat mirrors nsgate_stat.
type Stat struct {
	Device, Inode, LinkCount     uint64
	Mode, UID, GID, reserved     uint32
	SpecialDevice                uint64
	Size, BlockSize, Blocks      int64
	Access, Modification, Change Time
}

// Statfs mirrors nsgate_statfs.
type Statfs struct {
	Type, BlockSize                                       int64
	Blocks, BlocksFree, BlocksAvailable, Files, FilesFree uint64
	NameLength, FragmentSize                              int64
	Flags                                                 uint64
}

// DirectoryEntry mirrors nsgate_directory_entry, behind which the name lies.
type DirectoryEntry struct {
	RecordLength, NameLength, Kind, HasStat uint32
	Inode                                   uint64
	Stat                                    Stat
}

// Address mirrors nsgate_address.
type Address struct {
	Family uint32
	Bytes  [16]byte
}

// SubscriberStats mirrors nsgate_subscriber_stats.
type SubscriberStats struct {
	size, reserved                         uint32
	Calls, Slow, Failures, Panics, Longest uint64
}

// SandboxDetails mirrors nsgate_sandbox_details.
type SandboxDetails struct {
	size, State, Network, reserved uint32
	Address                        Address
	Attached                       uint64
	sandboxID, lifecycleID         [256]byte
}
