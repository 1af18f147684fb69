//go:build linux && cgo

package nsgateotel_test

import (
	"context"
	"net/netip"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/nsgateotel"
)

// run submits a job and waits for its end.
func (o *observed) run(f func(context.Context) error) nsgate.Event {
	o.t.Helper()
	job, err := o.gate.Reserve("job", f)
	must(o.t, err)
	defer job.Free()
	ticket, err := job.Submit()
	must(o.t, err)
	ctx, cancel := limited()
	defer cancel()
	event, err := ticket.Wait(ctx)
	must(o.t, err)
	return event
}

func TestNamesAndUnitsFollowTheConventions(t *testing.T) {
	o := observe(t, nil)
	o.run(func(context.Context) error { return nil })
	name := regexp.MustCompile(`^nsgate(\.[a-z][a-z_]*)+$`)
	unit := regexp.MustCompile(`^(s|\{[a-z]+\})$`)
	metrics := o.collect()
	for _, m := range metrics {
		if !name.MatchString(m.Name) || strings.HasSuffix(m.Name, "total") || strings.Contains(m.Name, "second") {
			t.Errorf("%q is no good name", m.Name)
		}
		if !unit.MatchString(m.Unit) {
			t.Errorf("%s has the unit %q", m.Name, m.Unit)
		}
		if m.Description == "" || strings.HasSuffix(m.Description, ".") {
			t.Errorf("%s is described as %q", m.Name, m.Description)
		}
		// No metric is also the namespace of another.
		for other := range metrics {
			if strings.HasPrefix(other, m.Name+".") {
				t.Errorf("%s is a namespace of %s", m.Name, other)
			}
		}
	}
}

func TestTotalsOnlyRiseAndSizesDoNot(t *testing.T) {
	o := observe(t, nil)
	metrics := o.collect()
	for name, monotonic := range map[string]bool{
		"nsgate.release.submitted": true, "nsgate.release.completed": true, "nsgate.event.dropped": true,
		"nsgate.release.queue.size": false, "nsgate.place.usage": false, "nsgate.worker.count": false,
	} {
		sum, ok := metrics[name].Data.(metricdata.Sum[int64])
		if !ok || sum.IsMonotonic != monotonic || sum.Temporality != metricdata.CumulativeTemporality {
			t.Errorf("%s: %T, %+v", name, metrics[name].Data, sum)
		}
	}
	if _, ok := metrics["nsgate.release.queue.age"].Data.(metricdata.Gauge[float64]); !ok {
		t.Errorf("%T", metrics["nsgate.release.queue.age"].Data)
	}
}

func TestValuesAreThoseOfTheGate(t *testing.T) {
	o := observe(t, nil, nsgate.WithCapacity(100))
	chroot, err := o.gate.OpenChroot(t.TempDir(), nil)
	must(t, err)
	equal(t, o.value("nsgate.place.usage"), 1)
	equal(t, o.value("nsgate.place.limit"), 100)
	must(t, chroot.Close())
	o.run(func(context.Context) error { return nil })
	o.run(func(context.Context) error { return syscall.ENOTCONN })
	ctx, cancel := limited()
	defer cancel()
	must(t, o.gate.Fence(ctx))
	equal(t, o.value("nsgate.release.submitted"), 3)
	equal(t, o.value("nsgate.release.completed", nsgateotel.OutcomeKey.String("released")), 2)
	equal(t, o.value("nsgate.release.completed", nsgateotel.OutcomeKey.String("failed")), 1)
	equal(t, o.value("nsgate.release.unresolved"), 1)
	equal(t, o.value("nsgate.place.usage"), 0)

	begun, end := make(chan struct{}), make(chan struct{})
	job, err := o.gate.Reserve("slow", func(context.Context) error { close(begun); <-end; return nil })
	must(t, err)
	defer job.Free()
	_, err = job.Submit()
	must(t, err)
	<-begun
	equal(t, o.value("nsgate.release.active.count"), 1)
	gauge := o.collect()["nsgate.release.active.age"].Data.(metricdata.Gauge[float64])
	if age := gauge.DataPoints[0].Value; age <= 0 || age > patience.Seconds() {
		t.Errorf("the age is %v s", age)
	}
	close(end)
}

func TestDurations(t *testing.T) {
	o := observe(t, nil)
	const slept = 5 * time.Millisecond
	o.run(func(context.Context) error { time.Sleep(slept); return nil })
	o.run(func(context.Context) error { return syscall.ENOTCONN })
	want := map[string]bool{"released": true, "failed": true}
	deadline := time.Now().Add(patience)
	for {
		histogram, _ := o.collect()["nsgate.release.work.duration"].Data.(metricdata.Histogram[float64])
		if len(histogram.DataPoints) < len(want) { // the waiter is told before the others
			if time.Now().After(deadline) {
				t.Fatal(histogram)
			}
			continue
		}
		for _, point := range histogram.DataPoints {
			kind, _ := point.Attributes.Value(nsgateotel.KindKey)
			equal(t, kind.AsString(), "job")
			outcome, _ := point.Attributes.Value(nsgateotel.OutcomeKey)
			equal(t, want[outcome.AsString()], true)
			equal(t, point.Count, 1)
			equal(t, len(point.Bounds), 15)
			equal(t, point.Bounds[0], 1e-6)
			if outcome.AsString() == "released" && point.Sum < slept.Seconds() {
				t.Errorf("it took %v s", point.Sum)
			}
		}
		break
	}
	histogram := o.collect()["nsgate.release.queue.duration"].Data.(metricdata.Histogram[float64])
	equal(t, len(histogram.DataPoints), 2)
}

func TestMapsAndSubscribers(t *testing.T) {
	var sandboxes *nsgate.Map[string]
	tells := attribute.String("gate", "first")
	o := observe(t, func(gate *nsgate.Gate) []nsgateotel.Option {
		var err error
		sandboxes, err = nsgate.NewMap[string](gate)
		must(t, err)
		subscription, err := sandboxes.Subscribe("limiter", nsgate.Callbacks[string]{
			Insert:         func(context.Context, string) { time.Sleep(2 * time.Millisecond) },
			NetworkRelease: func(context.Context, string) { panic("no") },
		})
		must(t, err)
		return []nsgateotel.Option{
			nsgateotel.WithMap("sandboxes", sandboxes),
			nsgateotel.WithSubscription(subscription),
			nsgateotel.WithAttributes(tells),
		}
	}, nsgate.WithBudgets(0, 0, time.Millisecond))
	defer sandboxes.Close()
	ctx := context.Background()
	first, err := sandboxes.Register("first", "life 1", "")
	must(t, err)
	_, err = sandboxes.Register("second", "life 2", "")
	must(t, err)
	_, err = first.AssignNetwork(netip.MustParseAddr("10.0.0.1"))
	must(t, err)
	_, err = first.MarkRunning(ctx)
	must(t, err)
	if _, err = first.NetworkReleased(ctx); err == nil {
		t.Error("no panic")
	}
	name := nsgateotel.MapKey.String("sandboxes")
	equal(t, o.value("nsgate.lifecycle.count", tells, name, nsgateotel.StateKey.String("running")), 1)
	equal(t, o.value("nsgate.lifecycle.count", tells, name, nsgateotel.StateKey.String("other")), 1)
	limiter := nsgateotel.SubscriberKey.String("limiter")
	equal(t, o.value("nsgate.subscriber.call.count", tells, limiter), 2)
	if slow := o.value("nsgate.subscriber.call.slow", tells, limiter); slow < 1 {
		t.Error("none was slow")
	}
	equal(t, o.value("nsgate.subscriber.call.failed", tells, limiter), 1)
	equal(t, o.value("nsgate.release.submitted", tells), 0)
	must(t, sandboxes.Close())
	if _, still := o.collect()["nsgate.subscriber.call.count"]; still {
		t.Error("a subscriber that has ended is still observed")
	}
}

func TestAfterTheEnd(t *testing.T) {
	o := observe(t, nil)
	ctx, cancel := limited()
	defer cancel()
	_, err := o.gate.Close(ctx)
	must(t, err)
	equal(t, len(o.collect()), 0) // and no error
	must(t, o.registration.Unregister())
	must(t, o.registration.Unregister())

	other := observe(t, nil)
	if len(other.collect()) == 0 {
		t.Error("nothing is observed")
	}
	must(t, other.registration.Unregister())
	equal(t, len(other.collect()), 0)
}
