package nsgate

import (
	"strconv"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Status tells what became of a call. The numbers are those of the C ABI.
type Status int32

// The statuses.
const (
	StatusOK              Status = capi.StatusOK
	StatusInvalidArgument Status = capi.StatusInvalidArgument // out of range, or with a NUL inside
	StatusInvalidHandle   Status = capi.StatusInvalidHandle   // the object has ended, or was never opened
	StatusInvalidState    Status = capi.StatusInvalidState    // not in a state that allows this
	StatusClosed          Status = capi.StatusClosed          // closed or released
	StatusFull            Status = capi.StatusFull            // no place is left; nothing was taken
	StatusNotFound        Status = capi.StatusNotFound        // nothing by that name
	StatusAlreadyExists   Status = capi.StatusAlreadyExists   // something by that name already
	StatusWrongThread     Status = capi.StatusWrongThread     // bound to another thread
	StatusWrongOrder      Status = capi.StatusWrongOrder      // something entered later comes first
	StatusWrongLifecycle  Status = capi.StatusWrongLifecycle  // the address belongs to another life
	StatusTainted         Status = capi.StatusTainted         // the thread could not be brought back
	StatusWouldDeadlock   Status = capi.StatusWouldDeadlock   // the call would wait for its own caller
	StatusTimedOut        Status = capi.StatusTimedOut        // the deadline passed
	StatusUnsupported     Status = capi.StatusUnsupported     // the kernel or the system lacks this
	StatusOS              Status = capi.StatusOS              // a system call failed; the errno tells why
	StatusPanic           Status = capi.StatusPanic           // code that was called panicked
	StatusCallbackFailed  Status = capi.StatusCallbackFailed  // a callback failed
)

var statusText = [...]string{
	StatusOK:              "ok",
	StatusInvalidArgument: "invalid argument",
	StatusInvalidHandle:   "invalid handle",
	StatusInvalidState:    "invalid state",
	StatusClosed:          "closed",
	StatusFull:            "full",
	StatusNotFound:        "not found",
	StatusAlreadyExists:   "already exists",
	StatusWrongThread:     "wrong thread",
	StatusWrongOrder:      "wrong order",
	StatusWrongLifecycle:  "wrong lifecycle",
	StatusTainted:         "tainted",
	StatusWouldDeadlock:   "would deadlock",
	StatusTimedOut:        "timed out",
	StatusUnsupported:     "unsupported",
	StatusOS:              "system call failed",
	StatusPanic:           "panic",
	StatusCallbackFailed:  "callback failed",
}

// String returns the status in words.
func (s Status) String() string {
	if s < 0 || int(s) >= len(statusText) {
		return "status " + strconv.Itoa(int(s))
	}
	return statusText[s]
}
