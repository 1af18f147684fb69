//go:build linux && cgo

package nsgate_test

import (
	"context"
	"testing"
)

func BenchmarkMarkRunning(b *testing.B) {
	m := openMap(b, openGate(b))
	s := register(b, m, "sandbox", "life")
	ctx := context.Background()
	changes(b)(s.MarkRunning(ctx))
	b.Run("handle", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.MarkRunning(ctx)
		}
	})
	b.Run("id", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.MarkRunning(ctx, "life")
		}
	})
}

func BenchmarkAssignNetwork(b *testing.B) {
	m := openMap(b, openGate(b))
	s := register(b, m, "sandbox", "life")
	changes(b)(s.AssignNetwork(one))
	b.Run("handle", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.AssignNetwork(one)
		}
	})
	b.Run("id", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.AssignNetwork("life", one)
		}
	})
}
