package nsgate

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// MountNamespace is a mount namespace, held by a descriptor. It must be closed; a forgotten one is
// released when the garbage collector finds it.
//
// Go code gets into it by [MountNamespace.Do] only: a goroutine that changed its own thread's namespace
// would leave a thread that can't be used for anything else again.
type MountNamespace struct{ *mountNamespace }

type mountNamespace struct {
	gate   *gate
	id     uint64
	closed atomic.Bool
}

// NamespaceID identifies a mount namespace. Two are the same namespace if all is equal.
type NamespaceID struct {
	Device, Inode uint64 // of its nsfs file
	NsID          uint64 // the kernel's own id, 0 where it has none
}

// OpenNamespace opens a mount namespace by a path, such as "/run/netns/blue" or "/proc/1/ns/mnt".
func (g *Gate) OpenNamespace(path string) (*MountNamespace, error) {
	return g.openNamespace(func(id *uint64, e *capi.Error) int32 {
		return capi.NamespaceOpenPath(g.id, path, id, e)
	}, path)
}

// OpenProcessNamespace opens the mount namespace of a process.
func (g *Gate) OpenProcessNamespace(pid int) (*MountNamespace, error) {
	return g.openNamespace(func(id *uint64, e *capi.Error) int32 {
		return capi.NamespaceOpenPid(g.id, int32(pid), id, e)
	}, "pid "+strconv.Itoa(pid))
}

// OpenNamespaceFile opens the mount namespace of an open file, which stays the caller's.
func (g *Gate) OpenNamespaceFile(file *os.File) (*MountNamespace, error) {
	ns, err := g.openNamespace(func(id *uint64, e *capi.Error) int32 {
		return capi.NamespaceOpenFd(g.id, file.Fd(), id, e)
	}, file.Name())
	runtime.KeepAlive(file)
	return ns, err
}

// CurrentNamespace opens the mount namespace of the calling thread: the process's, or inside a Do the
// one that it runs in.
func (g *Gate) CurrentNamespace() (*MountNamespace, error) {
	return g.openNamespace(func(id *uint64, e *capi.Error) int32 {
		return capi.NamespaceOpenCurrent(g.id, id, e)
	}, "current")
}

// CreateNamespace makes a copy of the process's mount namespace, in which every mount is private.
func (g *Gate) CreateNamespace() (*MountNamespace, error) {
	return g.openNamespace(func(id *uint64, e *capi.Error) int32 {
		return capi.NamespaceCreate(g.id, id, e)
	}, "new")
}

func (g *Gate) openNamespace(open func(*uint64, *capi.Error) int32, name string) (*MountNamespace, error) {
	if g.closing.Load() {
		return nil, pathError("namespace", name, &capi.Error{Status: capi.StatusClosed})
	}
	inner := &mountNamespace{gate: g.gate}
	var e capi.Error
	if open(&inner.id, &e) != capi.StatusOK {
		return nil, pathError("namespace", name, &e)
	}
	ns := &MountNamespace{inner}
	runtime.AddCleanup(ns, forgottenNamespace, inner)
	return ns, nil
}

// ID identifies the namespace.
func (n *MountNamespace) ID() (NamespaceID, error) {
	var id capi.NamespaceID
	var e capi.Error
	status := capi.NamespaceIdentify(n.id, &id, &e)
	runtime.KeepAlive(n)
	if status != capi.StatusOK {
		return NamespaceID{}, newError(&e)
	}
	return NamespaceID(id), nil
}

// Do calls f on a thread in the namespace, whose root directory is the namespace's. All that is said of
// [Chroot.Do] holds.
func (n *MountNamespace) Do(ctx context.Context, f func() error) error {
	err := do(ctx, n.gate.id, f, func(run *capi.Run) int32 { return capi.NamespaceStart(n.id, run) })
	runtime.KeepAlive(n)
	return err
}

// Release hands the namespace over for release. A second one answers ErrClosed.
func (n *MountNamespace) Release() (Ticket, error) {
	if !n.closed.CompareAndSwap(false, true) {
		return Ticket{}, ErrClosed
	}
	ticket := Ticket{gate: n.gate}
	var e capi.Error
	status := capi.NamespaceRelease(n.id, &ticket.id, &e)
	runtime.KeepAlive(n)
	if status != capi.StatusOK {
		return Ticket{}, newError(&e)
	}
	return ticket, nil
}

// Close is Release without the ticket.
func (n *MountNamespace) Close() error {
	_, err := n.Release()
	return err
}

func forgottenNamespace(n *mountNamespace) {
	if !n.closed.CompareAndSwap(false, true) {
		return
	}
	n.gate.forgotten.Add(1)
	var ticket uint64
	var e capi.Error
	capi.NamespaceRelease(n.id, &ticket, &e)
	n.gate.log.say(slog.LevelWarn, "nsgate: a mount namespace was forgotten; it is released now")
}
