package nsgateslog

import (
	"log/slog"

	nsgate "github.com/nsgate/nsgate/go"
)

// event keeps what has to be logged of a release that has ended. It runs on the gate's goroutine, and
// must not wait.
func (w *Watcher) event(e nsgate.Event) {
	if e.Outcome != nsgate.OutcomeFailed && e.BeforeRelease == nil {
		return
	}
	w.mu.Lock()
	if len(w.waiting) < maxWaiting {
		w.waiting = append(w.waiting, e)
	} else {
		w.missed++
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// logEvents logs what event kept.
func (w *Watcher) logEvents() {
	w.mu.Lock()
	events, missed := w.waiting, w.missed
	w.waiting, w.missed = nil, 0
	w.mu.Unlock()
	if len(events) == 0 {
		return
	}
	labels := w.labels()
	for _, e := range events {
		attributes := []any{
			slog.Uint64("ticket", e.Ticket.ID()),
			slog.String("kind", e.Kind.String()),
			slog.String("label", labels[e.Ticket]),
			slog.Int("attempts", e.Attempts),
			slog.Duration("queued", e.Queued),
			slog.Duration("worked", e.Worked),
		}
		if e.BeforeRelease != nil {
			w.log.Warn("nsgate: the step before a release failed",
				append(attributes, slog.String("error", e.BeforeRelease.Error()))...)
		}
		if e.Outcome == nsgate.OutcomeFailed {
			message := "unknown"
			if e.Errno != 0 {
				message = e.Errno.Error()
			}
			w.log.Error("nsgate: a release failed", append(attributes, slog.String("error", message))...)
		}
	}
	if missed > 0 {
		w.log.Warn("nsgate: failed releases were not logged, for their number", "count", missed)
	}
}

// labels are the paths and names of the failed releases that were not forgotten.
func (w *Watcher) labels() map[nsgate.Ticket]string {
	labels := make(map[nsgate.Ticket]string)
	items, err := w.gate.Remaining()
	if err != nil {
		return labels
	}
	for _, item := range items {
		labels[item.Ticket] = item.Label
	}
	return labels
}

// logStuck logs releases that are found to hang, and those that do no more.
func (w *Watcher) logStuck(items []nsgate.Item) {
	hang := make(map[nsgate.Ticket]bool)
	for _, item := range items {
		if item.State != nsgate.ItemStuck {
			continue
		}
		hang[item.Ticket] = true
		if _, known := w.stuck[item.Ticket]; !known {
			w.stuck[item.Ticket] = item
			w.log.Warn("nsgate: a release hangs", append(describe(item),
				slog.String("detail", item.Detail), slog.Duration("age", item.Age))...)
		}
	}
	for ticket, item := range w.stuck {
		if !hang[ticket] {
			delete(w.stuck, ticket)
			w.log.Info("nsgate: a release no longer hangs", describe(item)...)
		}
	}
}

func describe(item nsgate.Item) []any {
	return []any{
		slog.Uint64("ticket", item.Ticket.ID()),
		slog.String("kind", item.Kind.String()),
		slog.String("label", item.Label),
	}
}
