// Package capi is the border between Go and the C ABI of nsgate: the only package that imports "C".
//
// It knows nothing of what the calls mean. Each function takes handles as numbers, strings without
// copying them, and writes its answer to memory of the caller, so that a hot call allocates nothing.
// What comes back from C, runs and calls, is found by a number in a [Registry]; no Go pointer is left
// with C.
//
// Threads of the library call Go only to run jobs that a Go program gave them. Everything else that
// they have to tell (a subscriber has ended, a chroot of a sandbox is gone) is left in a mailbox that
// Go reads through the netpoller: such a thread never waits for the Go scheduler.
//
// Without cgo, and on other systems than Linux, the same functions answer UNSUPPORTED.
package capi
