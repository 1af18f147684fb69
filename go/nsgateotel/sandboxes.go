package nsgateotel

import (
	"go.opentelemetry.io/otel/metric"
)

// addMaps makes the instrument of the maps.
func (o *observer) addMaps(meter metric.Meter) (made []metric.Observable, err error) {
	o.lives, err = meter.Int64ObservableUpDownCounter("nsgate.lifecycle.count",
		metric.WithDescription("Lives of sandboxes that are in a map, by state"), metric.WithUnit("{lifecycle}"))
	return []metric.Observable{o.lives}, err
}

func (o *observer) collectMaps(observer metric.Observer) {
	for _, m := range o.settings.maps {
		running, all := m.counts.Count(), m.counts.Lifecycles()
		name := MapKey.String(m.name)
		observer.ObserveInt64(o.lives, int64(running), o.with(name, StateKey.String("running")))
		// The two numbers are read one after the other.
		observer.ObserveInt64(o.lives, int64(max(0, all-running)), o.with(name, StateKey.String("other")))
	}
}

// addSubscribers makes the instruments of the subscribers.
func (o *observer) addSubscribers(meter metric.Meter) (made []metric.Observable, err error) {
	for i, c := range []struct{ name, description string }{
		{"nsgate.subscriber.call.count", "Calls of OnInsert and OnNetworkRelease"},
		{"nsgate.subscriber.call.slow", "Calls that took longer than the gate's callback budget"},
		{"nsgate.subscriber.call.failed", "Calls that panicked"},
	} {
		o.calls[i], err = meter.Int64ObservableCounter(c.name,
			metric.WithDescription(c.description), metric.WithUnit("{call}"))
		if err != nil {
			return nil, err
		}
		made = append(made, o.calls[i])
	}
	o.longest, err = meter.Float64ObservableGauge("nsgate.subscriber.call.longest",
		metric.WithDescription("The longest call so far"), metric.WithUnit("s"))
	return append(made, o.longest), err
}

// collectSubscribers leaves those out that have ended.
func (o *observer) collectSubscribers(observer metric.Observer) {
	for _, subscription := range o.settings.subscriptions {
		stats, err := subscription.Stats()
		if err != nil {
			continue
		}
		name := o.with(SubscriberKey.String(stats.Name))
		for i, calls := range []uint64{stats.Calls, stats.Slow, stats.Failures} {
			observer.ObserveInt64(o.calls[i], int64(calls), name)
		}
		observer.ObserveFloat64(o.longest, stats.Longest.Seconds(), name)
	}
}
