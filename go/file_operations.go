package nsgate

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// A file operation runs on its caller's thread, and one that hangs, in open(2) of a FIFO or in a file
// system whose server is gone, keeps that thread. Go starts another one then, and ends the program when
// there are 10,000 (see debug.SetMaxThreads). So the operations of a gate, and those of one chroot, are
// limited; those beyond it wait without a thread, and are refused when none has ended for a while.

// The defaults of [WithFileOperations].
const (
	defaultFileOperations          = 1024
	defaultFileOperationsPerChroot = 256
	defaultFileOperationsPatience  = time.Second
)

// operationLimits are what [WithFileOperations] sets.
type operationLimits struct {
	gate, perChroot uint32
	patience        time.Duration
}

// fileOperations limits the file operations of a gate.
type fileOperations struct {
	gate      places
	perChroot uint32
	patience  time.Duration
}

func newFileOperations(limits operationLimits) fileOperations {
	if limits.gate == 0 {
		limits.gate = defaultFileOperations
	}
	if limits.perChroot == 0 {
		limits.perChroot = defaultFileOperationsPerChroot
	}
	return fileOperations{newPlaces(limits.gate), limits.perChroot, limits.patience}
}

// places are what a number of file operations may take at a time.
type places struct {
	limit int64
	// wanted is how many are taken and waited for.
	wanted atomic.Int64
	// left are places that were given up for somebody who waits.
	left chan struct{}
}

func newPlaces(limit uint32) places {
	return places{limit: int64(limit), left: make(chan struct{}, limit)}
}

// take takes a place, and waits for it if it must, first come, first served.
func (p *places) take(patience time.Duration) bool {
	return p.wanted.Add(1) <= p.limit || p.wait(patience)
}

func (p *places) wait(patience time.Duration) bool {
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-p.left:
			return true
		case <-timer.C:
		}
	}
	for {
		wanted := p.wanted.Load()
		if wanted <= p.limit {
			// Nobody is known to wait any more: the place is on its way.
			<-p.left
			return true
		}
		if p.wanted.CompareAndSwap(wanted, wanted-1) {
			return false
		}
	}
}

// give gives a place up.
func (p *places) give() {
	if p.wanted.Add(-1) >= p.limit {
		p.left <- struct{}{}
	}
}

// begin lets a file operation begin, which [chroot.end] ends.
func (c *chroot) begin() error {
	limits := &c.gate.operations
	if !c.operations.take(limits.patience) {
		return tooMany(c.operations.limit, "chroot")
	}
	if !limits.gate.take(limits.patience) {
		c.operations.give()
		return tooMany(limits.gate.limit, "gate")
	}
	return nil
}

func (c *chroot) end() {
	c.gate.operations.gate.give()
	c.operations.give()
}

func tooMany(limit int64, of string) error {
	return &Error{Status: StatusFull, Message: fmt.Sprintf(
		"%d file operations of the %s are under way, and none has ended in time (WithFileOperations)", limit, of)}
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
