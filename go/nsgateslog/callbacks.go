package nsgateslog

import (
	"log/slog"

	nsgate "github.com/nsgate/nsgate/go"
)

// watched is a subscription whose slow callbacks are logged.
type watched struct {
	subscription *nsgate.Subscription
	slow         uint64 // as far as it was logged
}

func watch(subscriptions []*nsgate.Subscription) []*watched {
	all := make([]*watched, 0, len(subscriptions))
	for _, subscription := range subscriptions {
		w := &watched{subscription: subscription}
		if stats, err := subscription.Stats(); err == nil {
			w.slow = stats.Slow
		}
		all = append(all, w)
	}
	return all
}

// look logs what was slow since the look before. A subscription that has ended has nothing to tell.
func (w *watched) look(log *slog.Logger) {
	stats, err := w.subscription.Stats()
	if err != nil || stats.Slow == w.slow {
		return
	}
	log.Warn("nsgate: a subscriber kept its callers waiting",
		slog.String("subscriber", stats.Name),
		slog.Uint64("calls", stats.Slow-w.slow),
		slog.Duration("longest", stats.Longest))
	w.slow = stats.Slow
}
