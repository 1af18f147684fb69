// Package nsgateslog logs what goes wrong behind the host's back: releases that fail or hang, and
// subscribers that keep their callers waiting.
//
//	watcher := nsgateslog.Watch(gate, slog.Default(), nsgateslog.Options{})
//	defer watcher.Stop()
//
// Everything is logged from one goroutine, so that a slow handler of the logger holds up nothing else. A
// thing is logged once: a release that hangs when it is first found so, and when it ends after all.
package nsgateslog

import (
	"log/slog"
	"sync"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// Options set how a gate is watched.
type Options struct {
	// Interval is how often hung releases and slow callbacks are looked for: 1 s if it is 0. Failed
	// releases are logged at once.
	Interval time.Duration
	// Subscriptions are those whose slow callbacks are logged. What is slow is the gate's to say
	// ([nsgate.WithBudgets]).
	Subscriptions []*nsgate.Subscription
}

// maxWaiting is how many events wait for the logger; what comes then is counted.
const maxWaiting = 1024

// Watcher is what Watch starts.
type Watcher struct {
	gate *nsgate.Gate
	log  *slog.Logger

	stopEvents func()
	stop       chan struct{}
	once       sync.Once
	ended      chan struct{}

	mu      sync.Mutex
	waiting []nsgate.Event
	missed  int
	wake    chan struct{}

	// Only for the goroutine.
	stuck     map[nsgate.Ticket]nsgate.Item
	callbacks []*watched
	dropped   uint64
}

// Watch logs what goes wrong with a gate, from now on, until Stop or until the gate is closed.
func Watch(gate *nsgate.Gate, log *slog.Logger, options Options) *Watcher {
	if options.Interval <= 0 {
		options.Interval = time.Second
	}
	w := &Watcher{
		gate:  gate,
		log:   log,
		stop:  make(chan struct{}),
		ended: make(chan struct{}),
		wake:  make(chan struct{}, 1),
		stuck: make(map[nsgate.Ticket]nsgate.Item),

		callbacks: watch(options.Subscriptions),
	}
	if stats, err := gate.Stats(); err == nil {
		w.dropped = stats.EventsDropped
	}
	w.stopEvents = gate.OnRelease(w.event)
	go w.run(options.Interval)
	return w
}

// Stop has a last look, and ends the watch. It waits for the logger. It may be called twice.
func (w *Watcher) Stop() {
	w.once.Do(func() {
		w.stopEvents()
		close(w.stop)
	})
	<-w.ended
}

func (w *Watcher) run(interval time.Duration) {
	defer close(w.ended)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-w.wake:
			w.logEvents()
		case <-ticker.C:
			if !w.look() {
				w.logEvents()
				return
			}
		case <-w.stop:
			w.look()
			w.logEvents()
			return
		}
	}
}

// look looks for what no event tells, and returns whether the gate is open.
func (w *Watcher) look() bool {
	items, err := w.gate.Remaining()
	if err != nil {
		return false
	}
	w.logStuck(items)
	for _, c := range w.callbacks {
		c.look(w.log)
	}
	if stats, err := w.gate.Stats(); err == nil && stats.EventsDropped > w.dropped {
		w.log.Warn("nsgate: release events were lost", "count", stats.EventsDropped-w.dropped)
		w.dropped = stats.EventsDropped
	}
	return true
}
