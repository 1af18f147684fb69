package nsgateotel

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	nsgate "github.com/nsgate/nsgate/go"
)

// ScopeName is the name of the meter.
const ScopeName = "github.com/nsgate/nsgate/go/nsgateotel"

// Registration ends what Register began.
type Registration struct {
	registration metric.Registration
	stopEvents   func()
	once         sync.Once
}

// Unregister ends the observation. It may be called twice, and after the gate was closed.
func (r *Registration) Unregister() (err error) {
	r.once.Do(func() {
		r.stopEvents()
		err = r.registration.Unregister()
	})
	return err
}

// observer is what one collection calls.
type observer struct {
	gate     *nsgate.Gate
	settings settings
	observe  []func(o metric.Observer, s *nsgate.Stats)
	lives    metric.Int64Observable
	calls    [3]metric.Int64Observable // all, slow, failed
	longest  metric.Float64Observable
}

// Register makes the instruments of a gate. A closed gate is observed no more, without an error.
func Register(gate *nsgate.Gate, provider metric.MeterProvider, options ...Option) (*Registration, error) {
	o := &observer{gate: gate}
	for _, option := range options {
		option(&o.settings)
	}
	meter := provider.Meter(ScopeName)
	var made []metric.Observable
	for _, i := range instruments {
		instrument, err := o.add(meter, i)
		if err != nil {
			return nil, err
		}
		made = append(made, instrument)
	}
	ofMaps, err := o.addMaps(meter)
	if err != nil {
		return nil, err
	}
	ofSubscribers, err := o.addSubscribers(meter)
	if err != nil {
		return nil, err
	}
	durations, err := newDurations(meter, o.settings.attributes)
	if err != nil {
		return nil, err
	}
	registration, err := meter.RegisterCallback(o.collect, slices.Concat(made, ofMaps, ofSubscribers)...)
	if err != nil {
		return nil, err
	}
	return &Registration{registration: registration, stopEvents: gate.OnRelease(durations.record)}, nil
}

// collect observes everything.
func (o *observer) collect(_ context.Context, observer metric.Observer) error {
	stats, err := o.gate.Stats()
	if errors.Is(err, nsgate.ErrClosed) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, observe := range o.observe {
		observe(observer, &stats)
	}
	o.collectMaps(observer)
	o.collectSubscribers(observer)
	return nil
}

// with are the attributes of a value, those of the registration included.
func (o *observer) with(attributes ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(slices.Concat(o.settings.attributes, attributes)...)
}

// add makes one instrument over Stats.
func (o *observer) add(meter metric.Meter, i instrument) (metric.Observable, error) {
	description, unit := metric.WithDescription(i.description), metric.WithUnit(i.unit)
	var whole metric.Int64Observable
	var real metric.Float64Observable
	var err error
	switch i.form {
	case counter:
		whole, err = meter.Int64ObservableCounter(i.name, description, unit)
	case upDown:
		whole, err = meter.Int64ObservableUpDownCounter(i.name, description, unit)
	case seconds:
		real, err = meter.Float64ObservableGauge(i.name, description, unit)
	case sumOfSeconds:
		real, err = meter.Float64ObservableUpDownCounter(i.name, description, unit)
	}
	if err != nil {
		return nil, err
	}
	if real != nil {
		o.observe = append(o.observe, func(observer metric.Observer, s *nsgate.Stats) {
			for _, r := range i.read(s) {
				observer.ObserveFloat64(real, r.duration.Seconds(), o.with(r.attributes...))
			}
		})
		return real, nil
	}
	o.observe = append(o.observe, func(observer metric.Observer, s *nsgate.Stats) {
		for _, r := range i.read(s) {
			observer.ObserveInt64(whole, r.value, o.with(r.attributes...))
		}
	})
	return whole, nil
}
