package nsgate

import (
	"context"
	"io/fs"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Chroot is a private clone of a directory's mount tree. Its file operations resolve below it as if it
// were "/"; [Chroot.Do] runs code whose root it is.
//
// It has the methods of os.Root. Other than in an os.Root, an absolute path or symbolic link means the
// chroot's root, and ".." at the root stays there, as for a process in a chroot. Like there, names may
// begin with "/".
//
// File operations run on the caller's thread, up to 2,048 at a time (see [WithFileOperations]). Close, or the release by a
// [Sandbox], lets running ones finish and refuses new ones with [ErrClosed]. A Chroot must be closed;
// one that was forgotten is released when the garbage collector finds it, counted in [Stats] and logged.
type Chroot struct{ *chroot }

type chroot struct {
	gate    *gate
	id      uint64
	volume  string
	options ChrootOptions
	opened  []byte // the stack, with WithDebug
	// operations are those of its file operations that are under way.
	operations share
	// attached is whether closing is up to a sandbox. Once the release was asked for it no longer is, even
	// if that is cancelled.
	attached atomic.Bool
}

// ChrootOptions set what a chroot allows. The zero value is what a sandbox's volume wants: no device
// files, no set-user-id programs, mounts below included, none of the host's later mounts.
//
// What they refuse the mounts refuse that were there at the open. A later one, by Slave, keeps the
// attributes that the host gives it.
type ChrootOptions struct {
	ReadOnly     bool // writing answers EROFS
	AllowSuid    bool // set-user-id and set-group-id bits work
	AllowDevices bool // device files work
	NoExec       bool // nothing can be executed
	NoSymFollow  bool // symbolic links aren't followed, ELOOP; EINVAL on Linux 5.12 and 5.13
	Slave        bool // mounts that the host makes later below the volume appear, as the host made them
	NotRecursive bool // without the mounts below the volume
	NoFollow     bool // the volume's path must not lead through a symbolic link, ELOOP
}

func (o *ChrootOptions) flags() (flags uint32) {
	for _, option := range []struct {
		set  bool
		flag uint32
	}{
		{o.ReadOnly, capi.ChrootReadOnly},
		{o.AllowSuid, capi.ChrootAllowSuid},
		{o.AllowDevices, capi.ChrootAllowDevices},
		{o.NoExec, capi.ChrootNoexec},
		{o.NoSymFollow, capi.ChrootNosymfollow},
		{o.Slave, capi.ChrootSlave},
		{o.NotRecursive, capi.ChrootNotRecursive},
		{o.NoFollow, capi.ChrootNofollow},
	} {
		if option.set {
			flags |= option.flag
		}
	}
	return flags
}

// OpenChroot opens a chroot of a directory of the host and reserves the place for its release. Options
// may be nil. The volume is not written to.
//
// The error is a *fs.PathError. ErrFull: the gate's capacity is used up.
func (g *Gate) OpenChroot(volume string, options *ChrootOptions) (*Chroot, error) {
	if options == nil {
		options = &ChrootOptions{}
	}
	return g.gate.openChroot("chroot", volume, options, &g.operations.opening, func(id *uint64, e *capi.Error) int32 {
		return capi.ChrootOpen(g.id, volume, options.flags(), id, e)
	})
}

// openChroot opens a chroot, of what open says and as one of the share's operations; errors and Name call
// it name.
func (g *gate) openChroot(op, name string, options *ChrootOptions, s *share, open func(id *uint64, e *capi.Error) int32) (*Chroot, error) {
	if g.closing.Load() {
		return nil, pathError(op, name, &capi.Error{Status: capi.StatusClosed})
	}
	if !g.operations.take(s) {
		return nil, &fs.PathError{Op: op, Path: name, Err: g.operations.refusal(s)}
	}
	inner := &chroot{gate: g, volume: name, options: *options}
	var e capi.Error
	status := open(&inner.id, &e)
	g.operations.give(s)
	if status != capi.StatusOK {
		return nil, pathError(op, name, &e)
	}
	if g.debug {
		inner.opened = debug.Stack()
	}
	c := &Chroot{inner}
	runtime.AddCleanup(c, forgotten, inner)
	return c, nil
}

// Name returns the path of the volume, as it was given.
func (c *Chroot) Name() string { return c.volume }

// Close hands the chroot over for release and doesn't wait for it. A second Close answers ErrClosed.
func (c *Chroot) Close() error {
	_, err := c.Release()
	return err
}

// Release is Close and returns the ticket of the release.
func (c *Chroot) Release() (Ticket, error) {
	ticket := Ticket{gate: c.gate}
	c.attached.Store(false)
	var e capi.Error
	status := capi.ChrootRelease(c.id, &ticket.id, &e)
	runtime.KeepAlive(c)
	if status != capi.StatusOK {
		return Ticket{}, newError(&e)
	}
	return ticket, nil
}

// Ticket returns the ticket of the chroot's release, whoever asked for that: its sandbox, perhaps. ok is
// false while it is open.
func (c *Chroot) Ticket() (ticket Ticket, ok bool) {
	ticket.gate = c.gate
	var e capi.Error
	status := capi.ChrootTicket(c.id, &ticket.id, &e)
	runtime.KeepAlive(c)
	if status != capi.StatusOK || ticket.id == 0 {
		return Ticket{}, false
	}
	c.attached.Store(false) // the ticket may serve to cancel
	return ticket, true
}

// CancelRelease makes a closed chroot open again, if its release has not started. It is attached to no
// sandbox then.
//
// ErrInvalidState: it is not being released, or its release has started.
func (c *Chroot) CancelRelease() error {
	var e capi.Error
	status := capi.ChrootCancelRelease(c.id, &e)
	if status == capi.StatusOK {
		c.attached.Store(false)
	}
	runtime.KeepAlive(c)
	if status != capi.StatusOK {
		return newError(&e)
	}
	return nil
}

// IsClosed tells whether the chroot was closed, by Close or by its sandbox.
func (c *Chroot) IsClosed() bool {
	var closed bool
	var e capi.Error
	status := capi.ChrootIsClosed(c.id, &closed, &e)
	runtime.KeepAlive(c)
	return closed || status != capi.StatusOK
}

// BeforeRelease sets what has to be done before the chroot is released, on a worker that may block.
// An error or a panic is told in [Event].BeforeRelease; the chroot is released all the same, and that is
// the outcome. An error that may pass has f called again first, as with [Gate.Reserve]. ctx is cancelled
// when the gate has closed.
func (c *Chroot) BeforeRelease(f func(ctx context.Context) error) error {
	h := &hostJob{ctx: c.gate.ctx, function: f}
	var e capi.Error
	status := capi.ChrootBeforeRelease(c.id, h.run, &e)
	runtime.KeepAlive(c)
	if status != capi.StatusOK {
		return newError(&e)
	}
	return nil
}

// NamespaceID identifies the chroot's mount namespace, which is made if it has none yet.
// ErrWouldDeadlock: that is so in a Do, and no other thread is left.
func (c *Chroot) NamespaceID() (NamespaceID, error) {
	if err := c.begin(); err != nil {
		return NamespaceID{}, err
	}
	var id capi.NamespaceID
	var e capi.Error
	status := capi.ChrootIdentify(c.id, &id, &e)
	c.end()
	runtime.KeepAlive(c)
	if status != capi.StatusOK {
		return NamespaceID{}, newError(&e)
	}
	return NamespaceID(id), nil
}

// forgotten ends the handle of a chroot that nobody can reach any more. It runs on a goroutine of the
// garbage collector. What a sandbox holds stays open.
func forgotten(c *chroot) {
	var closed bool
	var e capi.Error
	wasForgotten := capi.ChrootIsClosed(c.id, &closed, &e) == capi.StatusOK && !closed && !c.attached.Load()
	if wasForgotten {
		c.gate.forgotten.Add(1)
	}
	capi.ChrootFree(c.id, &e)
	if wasForgotten {
		c.gate.log.say(slog.LevelWarn, "nsgate: a chroot was forgotten; it is released now",
			"volume", c.volume, "opened", string(c.opened))
	}
}
