package nsgate

import (
	"container/list"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// A file operation runs on its caller's thread, and one that hangs, in open(2) of a FIFO or in a file
// system whose server is gone, keeps that thread. Go starts another one then, and ends the program when
// there are 10,000 (see debug.SetMaxThreads). So there are places for the operations of a gate, of which
// a chroot gets the fewer the fewer are free: its number of them is at most twice the square of what is
// free, in parts of all. So one chroot gets half of them, and k whose operations hang leave a 2k-th part to
// the others, as long as that is some dozens. One that has none gets the last.
//
// Operations that find no place wait for one, without a thread, and are refused after a while.

// The defaults of [WithFileOperations].
const (
	defaultFileOperations         = 4096
	defaultFileOperationsPatience = time.Second
)

// mostFileOperations can be squared.
const mostFileOperations = 1 << 30

// operationLimits are what [WithFileOperations] sets.
type operationLimits struct {
	gate, perChroot uint32
	patience        time.Duration
}

// fileOperations are the places of a gate.
type fileOperations struct {
	places    int64
	perChroot int64
	patience  time.Duration
	taken     atomic.Int64
	waiting   atomic.Int64
	// opening is the share of those that open chroots, all together.
	opening share

	mu sync.Mutex
	// waits are the shares that somebody waits in.
	waits []*share
}

// share is what a chroot has of the places.
type share struct {
	// wanted is how many are taken and waited for.
	wanted atomic.Int64
	// waits has a channel for each that waits, closed when it has its place. Guarded by
	// fileOperations.mu.
	waits list.List
}

func newFileOperations(limits operationLimits) *fileOperations {
	if limits.gate == 0 {
		limits.gate = defaultFileOperations
	}
	if limits.perChroot == 0 {
		limits.perChroot = limits.gate
	}
	return &fileOperations{
		places:    int64(min(limits.gate, mostFileOperations)),
		perChroot: int64(limits.perChroot),
		patience:  limits.patience,
	}
}

// take takes a place, and waits for it if it must.
func (f *fileOperations) take(s *share) bool {
	return f.tryTake(s.wanted.Add(1)) || f.wait(s)
}

// tryTake takes a place for a share that then has so many.
func (f *fileOperations) tryTake(inShare int64) bool {
	for {
		taken := f.taken.Load()
		free := f.places - taken
		if free <= 0 || inShare > f.perChroot || inShare > 1 && inShare*f.places > 2*free*free {
			return false
		}
		if f.taken.CompareAndSwap(taken, taken+1) {
			return true
		}
	}
}

func (f *fileOperations) wait(s *share) bool {
	f.waiting.Add(1) // before the last look: who gives a place up from now on looks for who waits
	defer f.waiting.Add(-1)
	turn := make(chan struct{})
	f.mu.Lock()
	if s.waits.Len() == 0 {
		f.waits = append(f.waits, s)
	}
	element := s.waits.PushBack(turn)
	f.serve()
	f.mu.Unlock()

	if f.patience > 0 {
		timer := time.NewTimer(f.patience)
		defer timer.Stop()
		select {
		case <-turn:
			return true
		case <-timer.C:
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-turn:
		return true
	default:
	}
	s.waits.Remove(element)
	s.wanted.Add(-1)
	f.serve() // another may have been refused because of what this one wanted
	return false
}

// serve gives places to those who wait, first come first served within a share. mu is held.
func (f *fileOperations) serve() {
	f.waits = slices.DeleteFunc(f.waits, func(s *share) bool {
		for s.waits.Len() > 0 && f.tryTake(s.wanted.Load()-int64(s.waits.Len())+1) {
			close(s.waits.Remove(s.waits.Front()).(chan struct{}))
		}
		return s.waits.Len() == 0
	})
}

// give gives a place up.
func (f *fileOperations) give(s *share) {
	s.wanted.Add(-1)
	f.taken.Add(-1)
	if f.waiting.Load() > 0 {
		f.mu.Lock()
		f.serve()
		f.mu.Unlock()
	}
}

// begin lets a file operation begin, which [chroot.end] ends.
func (c *chroot) begin() error {
	if !c.gate.operations.take(&c.operations) {
		return c.gate.operations.refusal(&c.operations)
	}
	return nil
}

func (c *chroot) end() { c.gate.operations.give(&c.operations) }

func (f *fileOperations) refusal(s *share) error {
	what := "of the chroot"
	if s == &f.opening {
		what = "that open chroots"
	}
	f.mu.Lock()
	inShare := s.wanted.Load() - int64(s.waits.Len())
	f.mu.Unlock()
	return &Error{Status: StatusFull, Message: fmt.Sprintf(
		"%d file operations %s are under way, %d in the gate, and none has ended in time (WithFileOperations)",
		inShare, what, f.taken.Load())}
}

// FileOperation calls f as one of the chroot's file operations, of which [WithFileOperations] limits the
// number. It is for what the chroot doesn't see, the reading and writing of its open files, where that may
// hang: each that does keeps a thread.
//
// It waits for its turn as they do, and answers [ErrFull] without calling f if that doesn't come. An
// operation of the chroot in f counts once more. The chroot may have been closed.
func (c *Chroot) FileOperation(f func()) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	f()
	return nil
}

// operate does a file operation that has a path.
func (c *Chroot) operate(op, name string, e *capi.Error, call func() int32) error {
	if err := c.begin(); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	status := call()
	c.end()
	runtime.KeepAlive(c)
	if status != capi.StatusOK {
		return pathError(op, name, e)
	}
	return nil
}

// operateLink does a file operation that has two.
func (c *Chroot) operateLink(op, from, to string, e *capi.Error, call func() int32) error {
	if err := c.begin(); err != nil {
		return &os.LinkError{Op: op, Old: from, New: to, Err: err}
	}
	status := call()
	c.end()
	runtime.KeepAlive(c)
	if status != capi.StatusOK {
		return linkError(op, from, to, e)
	}
	return nil
}
