//go:build linux && cgo && !nsgate_gcdebug

package capi

// collect does nothing: see collect_debug.go.
func collect() {}
