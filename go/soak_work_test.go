//go:build linux && cgo

package nsgate_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

func (w *world) open(r *rand.Rand) {
	chroot, err := w.gate.OpenChroot(w.volume, nil)
	if err != nil {
		allow(w.t, err, nsgate.ErrFull)
		return
	}
	w.chroots.done.Add(1)
	if r.IntN(4) == 0 {
		allow(w.t, chroot.BeforeRelease(func(context.Context) error { w.steps.told.Add(1); return nil }))
		w.steps.done.Add(1)
	}
	if s := w.lives.place(r).Load(); s != nil && r.IntN(2) == 0 {
		err := s.Attach(chroot)
		allow(w.t, err, nsgate.ErrClosed)
		if err == nil {
			w.attached.Add(1)
		}
	}
	// Some are forgotten: the garbage collector finds them.
	if old := w.places.place(r).Swap(chroot); old != nil && r.IntN(8) != 0 {
		allow(w.t, old.Close(), nsgate.ErrClosed)
	}
}

func (w *world) operate(r *rand.Rand) {
	chroot := w.places.place(r).Load()
	if chroot == nil {
		return
	}
	switch r.IntN(6) {
	case 0, 1:
		w.do(r, chroot)
	case 2:
		allow(w.t, second(chroot.Stat("marker")), nsgate.ErrClosed)
	case 3:
		allow(w.t, second(chroot.ReadDir("/")), nsgate.ErrClosed)
	case 4:
		allow(w.t, second(chroot.ReadFile("marker")), nsgate.ErrClosed)
	case 5:
		name := fmt.Sprint("directory ", w.next.Add(1))
		err := chroot.Mkdir(name, 0o700)
		allow(w.t, err, nsgate.ErrClosed)
		// It may be closed meanwhile: then the host removes it.
		if err == nil && chroot.Remove(name) != nil {
			allow(w.t, os.Remove(filepath.Join(w.volume, name)))
		}
	}
}

// do runs something inside, which may end in any way, or not begin at all.
func (w *world) do(r *rand.Rand, chroot *nsgate.Chroot) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	if r.IntN(4) == 0 {
		ctx, cancel = context.WithTimeout(context.Background(), time.Duration(r.IntN(500))*time.Microsecond)
	}
	defer cancel()
	ending := r.IntN(8)
	err := chroot.Do(ctx, func() error {
		w.runs.done.Add(1)
		switch ending {
		case 0:
			panic("soak")
		case 1:
			runtime.Goexit()
		}
		text, err := os.ReadFile("/marker")
		if err == nil && string(text) != "inside" {
			err = fmt.Errorf("read %q", text)
		}
		return err
	})
	var panicked *nsgate.PanicError
	if err == nil || errors.As(err, &panicked) || errors.Is(err, nsgate.ErrGoexit) {
		w.runs.told.Add(1)
		return
	}
	allow(w.t, err, nsgate.ErrClosed, context.DeadlineExceeded)
}

func (w *world) release(r *rand.Rand) {
	chroot := w.places.place(r).Load()
	if chroot == nil {
		return
	}
	ticket, err := chroot.Release()
	allow(w.t, err, nsgate.ErrClosed)
	if r.IntN(2) == 0 {
		err := chroot.CancelRelease()
		allow(w.t, err, nsgate.ErrInvalidState, nsgate.ErrNotFound, nsgate.ErrFull)
		if err == nil {
			w.cancelled.done.Add(1)
			allow(w.t, second(chroot.Stat("/")), nsgate.ErrClosed)
			allow(w.t, chroot.Close(), nsgate.ErrClosed) // who closed it before counts on that
		}
		return
	}
	if err == nil && r.IntN(4) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, err := ticket.Wait(ctx)
		allow(w.t, err, nsgate.ErrNotFound)
	}
}

// soakJob is a job and how it was submitted last.
type soakJob struct {
	*nsgate.Job
	ticket   atomic.Pointer[nsgate.Ticket]
	attached atomic.Bool
}

func (w *world) reserve(r *rand.Rand) {
	breaks, pause := r.IntN(16) == 0, time.Duration(r.IntN(300))*time.Microsecond
	var failures atomic.Int32
	failures.Store(int32(r.IntN(3)))
	job, err := w.gate.Reserve("soak", func(context.Context) error {
		time.Sleep(pause)
		switch {
		case breaks:
			return syscall.EIO
		case failures.Add(-1) >= 0:
			return syscall.EBUSY
		}
		return nil
	})
	if err != nil {
		allow(w.t, err, nsgate.ErrFull)
		return
	}
	w.jobs.done.Add(1)
	w.submit(w.hostJobs.place(r).Swap(&soakJob{Job: job}))
}

// submit submits a job if it was not, so that it is known what becomes of it.
func (w *world) submit(job *soakJob) {
	if job == nil {
		return
	}
	ticket, err := job.Submit()
	allow(w.t, err, nsgate.ErrInvalidState)
	if err == nil {
		job.ticket.Store(&ticket)
	}
}

func (w *world) useJob(r *rand.Rand) {
	job := w.hostJobs.place(r).Load()
	if job == nil {
		return
	}
	switch r.IntN(3) {
	case 0:
		w.submit(job)
	case 1:
		ticket := job.ticket.Load()
		if ticket == nil {
			return
		}
		err := ticket.Cancel()
		allow(w.t, err, nsgate.ErrInvalidState, nsgate.ErrNotFound, nsgate.ErrFull)
		if err == nil {
			w.cancelled.done.Add(1)
			w.submit(job) // who put it away counts on that
		}
	case 2:
		if s := w.lives.place(r).Load(); s != nil && !job.attached.Swap(true) {
			allow(w.t, s.AttachJob(job.Job), nsgate.ErrClosed, nsgate.ErrInvalidState)
		}
	}
}
