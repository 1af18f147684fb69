//go:build linux && cgo

package nsgateotel_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/nsgateotel"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	status := m.Run()
	// Goroutines that end have a while to do so.
	leak := goleak.Find()
	for deadline := time.Now().Add(patience); leak != nil && time.Now().Before(deadline); {
		leak = goleak.Find()
	}
	if leak != nil {
		fmt.Fprintln(os.Stderr, leak)
		status = 1
	}
	os.Exit(status)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// observed is a gate with a reader of its metrics.
type observed struct {
	t            testing.TB
	gate         *nsgate.Gate
	reader       *metric.ManualReader
	registration *nsgateotel.Registration
}

func observe(t testing.TB, register func(*nsgate.Gate) []nsgateotel.Option, options ...nsgate.Option) *observed {
	t.Helper()
	o := &observed{t: t, reader: metric.NewManualReader()}
	quiet := nsgate.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	var err error
	o.gate, err = nsgate.Open(append(options, quiet)...)
	must(t, err)
	var registering []nsgateotel.Option
	if register != nil {
		registering = register(o.gate)
	}
	provider := metric.NewMeterProvider(metric.WithReader(o.reader))
	o.registration, err = nsgateotel.Register(o.gate, provider, registering...)
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := limited()
		defer cancel()
		if _, err := o.gate.Close(ctx); err != nil && err != nsgate.ErrClosed {
			t.Error(err)
		}
		must(t, o.registration.Unregister())
		must(t, provider.Shutdown(ctx))
	})
	return o
}

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// collect returns the metrics by their names.
func (o *observed) collect() map[string]metricdata.Metrics {
	o.t.Helper()
	var all metricdata.ResourceMetrics
	must(o.t, o.reader.Collect(context.Background(), &all))
	found := make(map[string]metricdata.Metrics)
	for _, scope := range all.ScopeMetrics {
		equal(o.t, scope.Scope.Name, nsgateotel.ScopeName)
		for _, m := range scope.Metrics {
			found[m.Name] = m
		}
	}
	return found
}

// value returns the value of a metric with these attributes, and no others.
func (o *observed) value(name string, attributes ...attribute.KeyValue) int64 {
	o.t.Helper()
	sum, ok := o.collect()[name].Data.(metricdata.Sum[int64])
	if !ok {
		o.t.Fatalf("no such metric: %s", name)
	}
	want := attribute.NewSet(attributes...)
	for _, point := range sum.DataPoints {
		if point.Attributes.Equals(&want) {
			return point.Value
		}
	}
	o.t.Fatalf("%s has no value with %v", name, attributes)
	return 0
}
