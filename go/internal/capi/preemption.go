//go:build linux && cgo

package capi

import _ "unsafe" // for linkname

// procPin keeps the runtime from preempting the goroutine until procUnpin. Both are among the functions
// that the runtime promises to keep for those who link to them (go.dev/issue/67401). Blocking the
// signal by which it preempts does the same for two system calls.
//
//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()
