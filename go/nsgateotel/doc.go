// Package nsgateotel tells OpenTelemetry what a gate does: its release queue, its chroots, and, where they
// are given, its maps and subscribers.
//
//	registration, err := nsgateotel.Register(gate, otel.GetMeterProvider(), nsgateotel.WithMap("sandboxes", sandboxes))
//	defer registration.Unregister()
//
// Names and units follow the conventions of OpenTelemetry: dots, no unit and no "total" in a name, UCUM
// units, seconds for durations. Everything begins with "nsgate."..
//
// Totals and sizes are read when metrics are collected, by one call of [nsgate.Gate.Stats]. The durations
// are histograms with the kind and the outcome of each release; what the gate had to drop of its events,
// which nsgate.event.dropped counts, is missing there.
package nsgateotel
