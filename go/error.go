package nsgate

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Error is what a call of the library answers when it fails. File operations of a [Chroot] wrap it, or
// the errno alone, in a *fs.PathError or *os.LinkError.
//
// It unwraps to the syscall.Errno of the system call that failed, if one did: errors.Is(err,
// fs.ErrNotExist) and errors.Is(err, syscall.EBUSY) work.
type Error struct {
	Status  Status
	Errno   syscall.Errno // 0 if no system call failed
	Message string        // for the reader: the call with its arguments, as strace prints it
}

// Errors to compare with by errors.Is: they match every error of their status.
var (
	ErrInvalidArgument = &Error{Status: StatusInvalidArgument}
	ErrInvalidState    = &Error{Status: StatusInvalidState}
	ErrClosed          = &Error{Status: StatusClosed} // matches fs.ErrClosed, too
	ErrFull            = &Error{Status: StatusFull}
	ErrNotFound        = &Error{Status: StatusNotFound}
	ErrAlreadyExists   = &Error{Status: StatusAlreadyExists}
	ErrWrongLifecycle  = &Error{Status: StatusWrongLifecycle}
	ErrTainted         = &Error{Status: StatusTainted}
	ErrWouldDeadlock   = &Error{Status: StatusWouldDeadlock}
	ErrTimedOut        = &Error{Status: StatusTimedOut}    // matches os.ErrDeadlineExceeded, too
	ErrUnsupported     = &Error{Status: StatusUnsupported} // matches errors.ErrUnsupported, too
)

// ErrGoexit is the error of a job that ended by runtime.Goexit, as t.FailNow does.
var ErrGoexit = errors.New("nsgate: the job ended by runtime.Goexit")

// Error returns the message, or the status in words.
func (e *Error) Error() string {
	if e.Message == "" {
		return "nsgate: " + e.Status.String()
	}
	return "nsgate: " + e.Message
}

// Unwrap returns the errno, nil if there is none.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// Is reports whether e is of the kind of target.
func (e *Error) Is(target error) bool {
	switch target {
	case fs.ErrClosed:
		return e.Status == StatusClosed
	case os.ErrDeadlineExceeded:
		return e.Status == StatusTimedOut
	case errors.ErrUnsupported:
		return e.Status == StatusUnsupported
	}
	t, ok := target.(*Error)
	return ok && t.Errno == 0 && t.Message == "" && t.Status == e.Status
}

// newError is the error of a call that failed. What has ended is closed: nobody here makes up handles.
func newError(e *capi.Error) *Error {
	if e.Status == capi.StatusInvalidHandle {
		return ErrClosed
	}
	return &Error{Status: Status(e.Status), Errno: syscall.Errno(e.OSError), Message: e.Message()}
}

// cause is what stands in a *fs.PathError: the errno, as package os has it, wherever there is one.
func cause(e *capi.Error) error {
	switch e.Status {
	case capi.StatusOS:
		return syscall.Errno(e.OSError)
	case capi.StatusClosed, capi.StatusInvalidHandle:
		return ErrClosed
	case capi.StatusInvalidArgument:
		return syscall.EINVAL
	}
	if e.OSError != 0 {
		return syscall.Errno(e.OSError)
	}
	return newError(e)
}

func pathError(op, path string, e *capi.Error) error {
	return &fs.PathError{Op: op, Path: path, Err: cause(e)}
}

func linkError(op, from, to string, e *capi.Error) error {
	return &os.LinkError{Op: op, Old: from, New: to, Err: cause(e)}
}
