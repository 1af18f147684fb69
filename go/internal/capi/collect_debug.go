//go:build linux && cgo && nsgate_gcdebug

package capi

import "runtime"

// collect runs the garbage collector: before every call of the library, with its arguments ready, after it,
// and in callbacks. What is wrongly held by C only is gone then. For go test -tags nsgate_gcdebug.
func collect() { runtime.GC() }
