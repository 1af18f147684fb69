package nsgateotel

import (
	"go.opentelemetry.io/otel/attribute"

	nsgate "github.com/nsgate/nsgate/go"
)

// Option adds to what Register observes.
type Option func(*settings)

type settings struct {
	attributes    []attribute.KeyValue
	maps          []namedMap
	subscriptions []*nsgate.Subscription
}

type namedMap struct {
	name   string
	counts Counts
}

// Counts is what is observed of a map: a *nsgate.Map[T] of any T.
type Counts interface {
	Count() int      // running lives
	Lifecycles() int // all lives
}

// WithAttributes adds attributes to everything, such as one that tells several gates apart.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	return func(s *settings) { s.attributes = append(s.attributes, attributes...) }
}

// WithMap observes how many lives a map has, under a name.
func WithMap(name string, m Counts) Option {
	return func(s *settings) { s.maps = append(s.maps, namedMap{name, m}) }
}

// WithSubscription observes the calls of a map's subscriber, under its own name.
func WithSubscription(subscription *nsgate.Subscription) Option {
	return func(s *settings) { s.subscriptions = append(s.subscriptions, subscription) }
}
