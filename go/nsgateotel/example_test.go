//go:build linux && cgo

package nsgateotel_test

import (
	"context"
	"fmt"
	"log"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/nsgateotel"
)

func ExampleRegister() {
	ctx := context.Background()
	gate, _ := nsgate.Open()
	defer gate.Close(ctx)
	sandboxes, _ := nsgate.NewMap[string](gate)
	defer sandboxes.Close()
	reader := metric.NewManualReader() // a host has an exporter here
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	defer provider.Shutdown(ctx)

	registration, err := nsgateotel.Register(gate, provider,
		nsgateotel.WithMap("sandboxes", sandboxes),
		nsgateotel.WithAttributes(attribute.String("host.cell", "7")))
	if err != nil {
		log.Fatal(err)
	}
	defer registration.Unregister()

	var metrics metricdata.ResourceMetrics
	err = reader.Collect(ctx, &metrics)
	fmt.Println(metrics.ScopeMetrics[0].Scope.Name == nsgateotel.ScopeName, err)
	// Output: true <nil>
}
