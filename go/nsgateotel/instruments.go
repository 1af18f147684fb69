package nsgateotel

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	nsgate "github.com/nsgate/nsgate/go"
)

// Attributes of the instruments.
const (
	OutcomeKey    = attribute.Key("nsgate.release.outcome") // released, failed, cancelled, abandoned
	ProofKey      = attribute.Key("nsgate.release.proof")   // verified, held, unverified
	KindKey       = attribute.Key("nsgate.release.kind")    // chroot, mount namespace, job and so on
	WorkerTypeKey = attribute.Key("nsgate.worker.type")     // regular, replacement
	MapKey        = attribute.Key("nsgate.map.name")        // as WithMap has it
	StateKey      = attribute.Key("nsgate.lifecycle.state") // running, other
	SubscriberKey = attribute.Key("nsgate.subscriber.name") // as Map.Subscribe has it
)

// The kinds of instruments.
type form int

const (
	counter      form = iota // only rises
	upDown                   // a size, which can be added up
	seconds                  // a gauge of a duration
	sumOfSeconds             // a size in seconds
)

// instrument is one observable instrument over Stats.
type instrument struct {
	name, unit, description string
	form                    form
	read                    func(s *nsgate.Stats) []reading
}

// reading is a value with its attributes.
type reading struct {
	value      int64
	duration   time.Duration // for the forms in seconds
	attributes []attribute.KeyValue
}

func whole(read func(s *nsgate.Stats) uint64) func(*nsgate.Stats) []reading {
	return func(s *nsgate.Stats) []reading { return []reading{{value: int64(read(s))}} }
}

func lasting(read func(s *nsgate.Stats) time.Duration) func(*nsgate.Stats) []reading {
	return func(s *nsgate.Stats) []reading { return []reading{{duration: read(s)}} }
}

func with(value uint64, key attribute.Key, name string) reading {
	return reading{value: int64(value), attributes: []attribute.KeyValue{key.String(name)}}
}

var instruments = []instrument{
	{"nsgate.release.submitted", "{release}", "Releases handed over", counter,
		whole(func(s *nsgate.Stats) uint64 { return s.Adds })},
	{"nsgate.release.completed", "{release}", "Releases that have ended, by outcome", counter,
		func(s *nsgate.Stats) []reading {
			return []reading{
				with(s.Released, OutcomeKey, nsgate.OutcomeReleased.String()),
				with(s.Failed, OutcomeKey, nsgate.OutcomeFailed.String()),
				with(s.Cancelled, OutcomeKey, nsgate.OutcomeCancelled.String()),
				with(s.Abandoned, OutcomeKey, nsgate.OutcomeAbandoned.String()),
			}
		}},
	{"nsgate.release.proved", "{release}", "Releases that ended well, by what the kernel says of it", counter,
		func(s *nsgate.Stats) []reading {
			return []reading{
				with(s.Verified, ProofKey, nsgate.ProofVerified.String()),
				with(s.Held, ProofKey, nsgate.ProofHeld.String()),
				with(s.Unverified, ProofKey, nsgate.ProofUnverified.String()),
			}
		}},
	{"nsgate.release.retries", "{retry}", "Attempts after the first", counter,
		whole(func(s *nsgate.Stats) uint64 { return s.Retries })},
	{"nsgate.release.prepare.failures", "{failure}", "Steps before a release that failed", counter,
		whole(func(s *nsgate.Stats) uint64 { return s.BeforeReleaseFailed })},
	{"nsgate.release.queue.size", "{release}", "Releases that wait for their first attempt", upDown,
		whole(func(s *nsgate.Stats) uint64 { return s.Depth })},
	{"nsgate.release.active.count", "{release}", "Releases that are being worked on", upDown,
		whole(func(s *nsgate.Stats) uint64 { return s.InFlight })},
	{"nsgate.release.stuck", "{release}", "Releases that are over their budget", upDown,
		whole(func(s *nsgate.Stats) uint64 { return s.Stuck })},
	{"nsgate.release.unresolved", "{release}", "Releases that failed and were neither retried nor forgotten", upDown,
		whole(func(s *nsgate.Stats) uint64 { return s.FailedList })},
	{"nsgate.release.queue.age", "s", "Age of the oldest release that waits for its first attempt", seconds,
		lasting(func(s *nsgate.Stats) time.Duration { return s.OldestQueued })},
	{"nsgate.release.active.age", "s", "Age of the attempt that has been running longest", seconds,
		lasting(func(s *nsgate.Stats) time.Duration { return s.LongestRunning })},
	{"nsgate.release.active.unfinished", "s", "Ages of all running attempts together", sumOfSeconds,
		lasting(func(s *nsgate.Stats) time.Duration { return s.Unfinished })},
	{"nsgate.place.usage", "{place}", "Places of the queue that open things have reserved", upDown,
		whole(func(s *nsgate.Stats) uint64 { return s.Reserved })},
	{"nsgate.place.limit", "{place}", "Places of the queue", upDown,
		whole(func(s *nsgate.Stats) uint64 { return s.Capacity })},
	{"nsgate.worker.count", "{worker}", "Worker threads, stuck ones included", upDown,
		func(s *nsgate.Stats) []reading {
			return []reading{
				with(s.Workers-min(s.Workers, s.ReplacementWorkers), WorkerTypeKey, "regular"),
				with(s.ReplacementWorkers, WorkerTypeKey, "replacement"),
			}
		}},
	{"nsgate.event.dropped", "{event}", "Release events that nobody read in time", counter,
		whole(func(s *nsgate.Stats) uint64 { return s.EventsDropped })},
	{"nsgate.chroot.forgotten", "{chroot}", "Chroots that nobody closed, released by the garbage collector", counter,
		whole(func(s *nsgate.Stats) uint64 { return s.Forgotten })},
}
