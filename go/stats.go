package nsgate

import (
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Stats are the figures of a gate's release queue, in the vocabulary of client-go's workqueue.
type Stats struct {
	Depth               uint64 // waiting for a worker, for their next attempt, or for the running uses of what was released
	Adds                uint64 // handed over so far
	InFlight            uint64 // being worked on
	Released            uint64
	Failed              uint64
	Cancelled           uint64
	Abandoned           uint64
	Retries             uint64
	Reserved            uint64 // places taken by what was not handed over yet
	Capacity            uint64
	Stuck               uint64 // over their budget now
	FailedList          uint64 // failed and neither retried nor forgotten
	Verified            uint64 // released, and the kernel says gone
	Held                uint64 // released, but something still holds it
	Unverified          uint64 // released, and the kernel can't tell
	BeforeReleaseFailed uint64 // steps before a release that failed
	EventsDropped       uint64
	EventsPending       uint64 // waiting to be told to subscribers
	SlowCallbacks       uint64 // of the queue's own; a map's subscribers have theirs, Subscription.Stats
	SubscriberPanics    uint64 // as SlowCallbacks
	Workers             uint64
	ReplacementWorkers  uint64
	Forgotten           uint64        // chroots that nobody closed and the garbage collector found
	OldestQueued        time.Duration // age of the oldest that has not started, the ones in use included
	LongestRunning      time.Duration
	Unfinished          time.Duration // ages of all that are being worked on
	QueueDuration       Histogram
	WorkDuration        Histogram
}

// Histogram counts durations in buckets, each four times as wide as the one before.
type Histogram struct {
	Count   uint64
	Sum     time.Duration
	Buckets [16]uint64 // see Bound
}

// Bound returns the upper bound of a bucket: 1 µs, 4 µs and so on, and for the last one the longest
// duration that there is.
func (Histogram) Bound(bucket int) time.Duration {
	if bucket >= len(Histogram{}.Buckets)-1 {
		return 1<<63 - 1
	}
	return time.Microsecond << (2 * bucket)
}

// Stats reads the statistics.
func (g *Gate) Stats() (Stats, error) {
	var c capi.Stats
	var e capi.Error
	if capi.GateStats(g.id, &c, &e) != capi.StatusOK {
		return Stats{}, newError(&e)
	}
	return Stats{
		Depth:               c.Depth,
		Adds:                c.Adds,
		InFlight:            c.InFlight,
		Released:            c.Released,
		Failed:              c.Failed,
		Cancelled:           c.Cancelled,
		Abandoned:           c.Abandoned,
		Retries:             c.Retries,
		Reserved:            c.ReservedPlaces,
		Capacity:            c.Capacity,
		Stuck:               c.Stuck,
		FailedList:          c.FailedList,
		Verified:            c.Verified,
		Held:                c.Held,
		Unverified:          c.Unverified,
		BeforeReleaseFailed: c.BeforeReleaseFailed,
		EventsDropped:       c.EventsDropped,
		EventsPending:       c.EventsPending,
		SlowCallbacks:       c.SlowCallbacks,
		SubscriberPanics:    c.SubscriberPanics,
		Workers:             c.Workers,
		ReplacementWorkers:  c.ReplacementWorkers,
		Forgotten:           g.forgotten.Load(),
		OldestQueued:        time.Duration(c.OldestQueued),
		LongestRunning:      time.Duration(c.LongestRunning),
		Unfinished:          time.Duration(c.Unfinished),
		QueueDuration:       newHistogram(&c.QueueDuration),
		WorkDuration:        newHistogram(&c.WorkDuration),
	}, nil
}

func newHistogram(c *capi.Histogram) Histogram {
	return Histogram{Count: c.Count, Sum: time.Duration(c.Sum), Buckets: c.Buckets}
}
