package nsgateotel

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	nsgate "github.com/nsgate/nsgate/go"
)

// durations records how long each release took.
type durations struct {
	attributes  []attribute.KeyValue
	queue, work metric.Float64Histogram
}

func newDurations(meter metric.Meter, attributes []attribute.KeyValue) (*durations, error) {
	d := &durations{attributes: attributes}
	var err error
	// The gate's own bounds.
	var bounds []float64
	for bucket := range len(nsgate.Histogram{}.Buckets) - 1 {
		bounds = append(bounds, nsgate.Histogram{}.Bound(bucket).Seconds())
	}
	if d.queue, err = meter.Float64Histogram("nsgate.release.queue.duration",
		metric.WithDescription("From the hand-over of a release to its first attempt"),
		metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(bounds...)); err != nil {
		return nil, err
	}
	d.work, err = meter.Float64Histogram("nsgate.release.work.duration",
		metric.WithDescription("From the first attempt of a release until the thing was gone"),
		metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(bounds...))
	return d, err
}

// record runs on the gate's goroutine. What was never begun has no durations.
func (d *durations) record(e nsgate.Event) {
	if e.Attempts == 0 {
		return
	}
	attributes := metric.WithAttributeSet(attribute.NewSet(slices.Concat(d.attributes, []attribute.KeyValue{
		KindKey.String(e.Kind.String()),
		OutcomeKey.String(e.Outcome.String()),
	})...))
	d.queue.Record(context.Background(), e.Queued.Seconds(), attributes)
	d.work.Record(context.Background(), e.Worked.Seconds(), attributes)
}
