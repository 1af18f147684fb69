//go:build linux && cgo

package nsgate_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	nsgate "github.com/nsgate/nsgate/go"
)

// tally counts what the soak does, and what it is told of it.
type tally struct {
	chroots, jobs      counted // made, and gone for good
	cancelled          counted
	inserts, networks  counted
	attached           atomic.Uint64
	steps, runs        counted
	events, failed     atomic.Uint64
	subscribers, heard atomic.Uint64
}

// counted is counted on both sides.
type counted struct{ done, told atomic.Uint64 }

func newTally(gate *nsgate.Gate) (counts *tally, stop func()) {
	counts = new(tally)
	return counts, gate.OnRelease(counts.hear)
}

func (c *tally) hear(event nsgate.Event) {
	c.events.Add(1)
	switch event.Outcome {
	case nsgate.OutcomeCancelled:
		c.cancelled.told.Add(1)
		return
	case nsgate.OutcomeFailed:
		c.failed.Add(1)
	}
	if event.Kind == nsgate.KindChroot {
		c.chroots.told.Add(1)
	} else {
		c.jobs.told.Add(1)
	}
}

// pairs are the counts that must be the same on both sides.
func (c *tally) pairs() map[string]*counted {
	return map[string]*counted{
		"chroots": &c.chroots, "jobs": &c.jobs, "cancelled": &c.cancelled, "inserts": &c.inserts,
		"networks released": &c.networks, "steps before releases": &c.steps, "runs inside": &c.runs,
	}
}

func (c *tally) String() (said string) {
	for what, pair := range c.pairs() {
		said += fmt.Sprintf("%d %s, ", pair.done.Load(), what)
	}
	return said + fmt.Sprintf("%d failed, %d attached, %d subscribers, told %d times",
		c.failed.Load(), c.attached.Load(), c.subscribers.Load(), c.heard.Load())
}

// check is for when nothing is open and nothing under way. Chroots that were forgotten are found by the
// garbage collector.
func (c *tally) check(t *testing.T, gate *nsgate.Gate) {
	t.Helper()
	eventually(t, "all is released and told", func() string {
		runtime.GC()
		for _, item := range get[[]nsgate.Item](t)(gate.Remaining()) {
			if item.State == nsgate.ItemFailed {
				must(t, item.Ticket.Forget())
			}
		}
		stats := get[nsgate.Stats](t)(gate.Stats())
		if stats.Reserved == 0 && c.events.Load() == stats.Adds {
			return ""
		}
		return fmt.Sprintf("%d told: %+v", c.events.Load(), stats)
	})
	stats := get[nsgate.Stats](t)(gate.Stats())
	equal(t, stats.Depth+stats.InFlight+stats.Abandoned+stats.EventsDropped+stats.FailedList+stats.SubscriberPanics, 0)
	equal(t, stats.Adds, stats.Released+stats.Failed+stats.Cancelled)
	equal(t, stats.Failed, c.failed.Load())
	equal(t, stats.Cancelled, c.cancelled.told.Load())
	for what, pair := range c.pairs() {
		if done, told := pair.done.Load(), pair.told.Load(); done != told {
			t.Errorf("%s: %d, told %d", what, done, told)
		}
	}
}

// allow passes the answers that belong to what another goroutine may have brought about.
func allow(t *testing.T, err error, kinds ...error) {
	t.Helper()
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return
		}
	}
	if err != nil {
		t.Error(err)
	}
}
