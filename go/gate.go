package nsgate

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Gate is what a process sets up once: the kernel's features, clean threads and the release queue.
// Everything else is made from it. All its methods may be called from any goroutine.
type Gate struct{ *gate }

// gate is what the things made from a Gate keep.
type gate struct {
	id        uint64
	log       *gateLog
	debug     bool
	events    *events
	closing   atomic.Bool
	forgotten atomic.Uint64
	// operations limits the file operations that are under way.
	operations *fileOperations
	maps       openMaps
	// ctx is the context of the host's jobs, cancelled when the gate has closed.
	ctx    context.Context
	cancel context.CancelFunc
}

// Open opens a gate. Options that are nil change nothing. It must be called on a thread in the process's own
// mount namespace, which is everywhere but inside a Do.
//
// ErrUnsupported: this is not Linux, the program was built without cgo, or the kernel is older than 5.10.
func Open(options ...Option) (*Gate, error) {
	settings := settings{log: slog.Default(), operations: operationLimits{patience: defaultFileOperationsPatience}}
	for _, option := range options {
		if option != nil {
			option(&settings)
		}
	}
	g := &gate{log: newGateLog(settings.log), debug: settings.debug, operations: newFileOperations(settings.operations)}
	var e capi.Error
	if capi.GateOpen(&settings.gate, &g.id, &e) != capi.StatusOK {
		return nil, newError(&e)
	}
	if err := g.start(); err != nil {
		capi.GateClose(g.id, 0, new(capi.Report), &e)
		capi.GateFree(g.id, &e)
		return nil, err
	}
	return &Gate{g}, nil
}

func (g *gate) start() error {
	if err := capi.OpenMailbox(); err != nil {
		return err
	}
	events, err := startEvents(g.id)
	if err != nil {
		capi.CloseMailbox()
		return err
	}
	g.events = events
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return nil
}

// Close refuses new resources and waits until everything handed over for release is gone, or ctx is
// done. What is left then is abandoned, and the report says how much; its tickets end as
// [OutcomeAbandoned]. [Gate.OnRelease] tells that, too, but for the oldest of more than
// [WithEventCapacity] keeps: all of them end at once. At the end the gate's maps are closed and the contexts
// of host jobs cancelled.
//
// For what OnRelease calls it waits a second at most, whatever ctx says: events that are still to be
// told then are not.
//
// A second Close answers ErrClosed. ErrWouldDeadlock, with nothing changed: it is called from inside a
// job or a Do of the gate.
func (g *Gate) Close(ctx context.Context) (Report, error) {
	if g.closing.Load() {
		return Report{}, ErrClosed
	}
	var e capi.Error
	if capi.GateBeginClose(g.id, &e) != capi.StatusOK {
		return Report{}, newError(&e)
	}
	if !g.closing.CompareAndSwap(false, true) {
		return Report{}, ErrClosed
	}
	_, err := g.drain(ctx)
	if err == nil || ctx.Err() != nil {
		var report Report
		if report, err = g.end(); err == nil {
			return report, nil
		}
	}
	g.closing.Store(false)
	return Report{}, err
}

// end closes the gate with whatever is left.
func (g *Gate) end() (Report, error) {
	var report capi.Report
	var e capi.Error
	if capi.GateClose(g.id, 0, &report, &e) != capi.StatusOK {
		return Report{}, newError(&e)
	}
	g.maps.close() // what is in them may hold them, and is held by what waits for their end
	g.cancel()
	g.events.stop()
	capi.GateFree(g.id, &e)
	capi.CloseMailbox()
	return newReport(&report), nil
}

// Drain waits until nothing is left to release, or ctx is done, and reports. It may be called again.
// The error is ctx's, beside a report of what is left.
//
// ErrClosed: the gate has closed, perhaps while this waited; the report is Close's then.
// ErrWouldDeadlock: as with [Gate.Fence].
func (g *Gate) Drain(ctx context.Context) (Report, error) { return g.drain(ctx) }

// lookAgain is for what the events don't tell: an event is readable a moment before it is counted.
const lookAgain = 20 * time.Millisecond

func (g *gate) drain(ctx context.Context) (Report, error) {
	for {
		late := g.fence(ctx, math.MaxUint64)
		if late != nil && ctx.Err() == nil {
			return Report{}, late
		}
		var report capi.Report
		var e capi.Error
		if capi.GateDrain(g.id, &report, &e) != capi.StatusOK {
			return Report{}, newError(&e)
		}
		if late != nil || report.Remaining == 0 {
			return newReport(&report), late
		}
	}
}

// Fence waits for everything that was handed over for release before it, or until ctx is done.
//
// ErrClosed: the gate had closed before. ErrWouldDeadlock: it is called from inside a function that
// [Gate.Reserve] or [Chroot.BeforeRelease] was given, or in a Do of a chroot that was closed, whose release
// waits for the Do.
func (g *Gate) Fence(ctx context.Context) error {
	var stats capi.Stats
	var e capi.Error
	if capi.GateStats(g.id, &stats, &e) != capi.StatusOK {
		return newError(&e)
	}
	return g.fence(ctx, stats.Adds)
}

// fence waits for the first so many releases.
func (g *gate) fence(ctx context.Context, adds uint64) error {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		news := g.events.news()
		var e capi.Error
		switch capi.GateFenceAt(g.id, adds, &e) {
		case capi.StatusOK, capi.StatusInvalidHandle:
			return nil // a gate that has closed leaves nothing without its end
		case capi.StatusTimedOut:
		default:
			return newError(&e)
		}
		select {
		case <-news:
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Features tells what the kernel can do.
func (g *Gate) Features() (Features, error) {
	var features capi.Features
	var e capi.Error
	if capi.GateFeatures(g.id, &features, &e) != capi.StatusOK {
		return Features{}, newError(&e)
	}
	return Features{
		MountSetattr:      features.MountSetattr != 0,
		OpenTreeNamespace: features.OpenTreeNamespace != 0,
		Fchmodat2:         features.Fchmodat2 != 0,
		NamespaceID:       features.NsID != 0,
		MountProof:        features.MountProof != 0,
		DissolveTogether:  features.DissolveTogether != 0,
	}, nil
}

// Features are what a kernel can do. Each that it lacks has a substitute.
type Features struct {
	MountSetattr      bool // mount_setattr(2) on a detached tree, Linux 5.12; else a chroot has its namespace at once
	OpenTreeNamespace bool // open_tree(2) with OPEN_TREE_NAMESPACE, Linux 7.0; not used
	Fchmodat2         bool // fchmodat2(2) with AT_EMPTY_PATH, Linux 6.6
	NamespaceID       bool // ids of mount namespaces, Linux 6.11
	MountProof        bool // fanotify mount marks, which tell whether a mount is gone: for root of the initial user namespace
	DissolveTogether  bool // what is released at the same time shares one grace period of the kernel's: Linux 6.15
}

// OnRelease calls f for every release of the gate that ends, in order, one at a time, from goroutines of
// the gate, until stop is called or the gate has closed. f must not block: events that are not read in
// time are lost, and [Stats].EventsDropped counts them.
func (g *Gate) OnRelease(f func(Event)) (stop func()) {
	return g.events.subscribe(func(e *capi.Event) { f(newEvent(g.gate, e)) })
}
