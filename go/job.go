package nsgate

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Job is a release of the host's own: a function, a descriptor, an unmount. Its place in the queue is
// reserved when it is made, so that submitting it can't fail. A job that is dropped or freed without
// being submitted is given up.
type Job struct{ *job }

type job struct {
	gate  *gate
	id    uint64
	freed atomic.Bool
	host  *hostJob // nil for what the library does
}

// hostJob is a function that a worker of the library calls, perhaps several times.
type hostJob struct {
	ctx      context.Context
	function func(context.Context) error
	last     atomic.Pointer[error]
}

// Reserve reserves the place for a function. It runs on a worker that may block. If its error unwraps
// to EBUSY, EINTR, EAGAIN or ENOMEM, it is called again later; any other error, a panic or Goexit fails
// the job, with the errno or else EIO as outcome. ctx is cancelled when the gate has closed.
func (g *Gate) Reserve(label string, f func(ctx context.Context) error) (*Job, error) {
	inner := &job{gate: g.gate, host: &hostJob{ctx: g.ctx, function: f}}
	var e capi.Error
	status := capi.JobReserve(g.id, label, inner.host.run, &inner.id, &e)
	return newJob(inner, status, &e)
}

// ReserveClose reserves the place for closing a file. On success the job owns the file's descriptor,
// and file is closed for everybody else.
func (g *Gate) ReserveClose(file *os.File, label string) (*Job, error) {
	inner := &job{gate: g.gate}
	var e capi.Error
	status := capi.JobReserveFile(g.id, file, label, &inner.id, &e)
	if status == capi.StatusOK {
		file.Close()
	}
	return newJob(inner, status, &e)
}

// ReserveUnmount reserves the place for unmounting a path and all that is mounted below it. With detach,
// what stays busy is unmounted lazily. Another mount that lies there later is left alone, except before Linux
// 6.8 one that got the same small id, device and root inode.
func (g *Gate) ReserveUnmount(path string, detach bool) (*Job, error) {
	var flags uint32
	if detach {
		flags = capi.UnmountDetach
	}
	inner := &job{gate: g.gate}
	var e capi.Error
	status := capi.JobReserveUnmount(g.id, path, flags, &inner.id, &e)
	return newJob(inner, status, &e)
}

func newJob(inner *job, status int32, e *capi.Error) (*Job, error) {
	if status != capi.StatusOK {
		return nil, newError(e)
	}
	j := &Job{inner}
	runtime.AddCleanup(j, (*job).free, inner)
	return j, nil
}

// Submit hands the job over. A second one answers ErrInvalidState, or ErrClosed after Free.
func (j *Job) Submit() (Ticket, error) {
	ticket := Ticket{gate: j.gate}
	var e capi.Error
	status := capi.JobSubmit(j.id, &ticket.id, &e)
	runtime.KeepAlive(j)
	if status != capi.StatusOK {
		return Ticket{}, newError(&e)
	}
	return ticket, nil
}

// Err returns what the job's function answered last, nil if that was nothing or it was not called yet.
func (j *Job) Err() error {
	if j.host == nil {
		return nil
	}
	if err := j.host.last.Load(); err != nil {
		return *err
	}
	return nil
}

// Free ends the handle. A job that was neither submitted nor attached to a sandbox is given up.
func (j *Job) Free() {
	j.free()
	runtime.KeepAlive(j)
}

func (j *job) free() {
	if j.freed.CompareAndSwap(false, true) {
		var e capi.Error
		capi.JobFree(j.id, &e)
	}
}

// run answers with 0 or an errno.
func (h *hostJob) run() int32 {
	var err error
	if failure := endingError(capi.Contain(func() { err = h.function(h.ctx) })); failure != nil {
		err = failure
	}
	h.last.Store(&err)
	if err == nil {
		return 0
	}
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != 0 {
		return int32(errno)
	}
	return int32(syscall.EIO)
}
