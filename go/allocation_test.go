//go:build linux && cgo && !race && !asan && !nsgate_gcdebug

// Sanitizers and collections allocate by themselves, so this is not built with them.

package nsgate_test

import (
	"context"
	"os"
	"testing"
)

func TestHotCallsAllocateOnlyWhatTheyReturn(t *testing.T) {
	gate := openGate(t)
	chroot, _ := openChroot(t, gate, nil)
	m := openMap(t, gate)
	s := register(t, m, "sandbox", "life")
	changes(t)(s.AssignNetwork(one))
	changes(t)(s.MarkRunning(context.Background()))
	must(t, chroot.WriteFile("file", nil, 0o600))
	nothing := func() error { return nil }
	for what, c := range map[string]struct {
		most float64
		call func()
	}{
		"chmod":          {0, func() { chroot.Chmod("file", 0o600) }},
		"truncate":       {0, func() { chroot.Truncate("file", 0) }},
		"stat":           {1, func() { chroot.Stat("file") }},                                        // the FileInfo
		"open and close": {3, func() { f, _ := chroot.OpenFile("file", os.O_RDONLY, 0); f.Close() }}, // the os.File
		"no such file":   {2, func() { chroot.Stat("none") }},                                        // the FileInfo and the PathError
		"do":             {12, func() { chroot.Do(context.Background(), nothing) }},                  // mostly the coroutine
		"get":            {0, func() { m.Get("sandbox") }},
		"by address":     {0, func() { m.GetByAddress(one) }},
		"assign by id":   {0, func() { m.AssignNetwork("life", one) }},
		"no change":      {2, func() { s.MarkRunning(context.Background()) }}, // what callbacks would find
		"the same by id": {2, func() { m.MarkRunning(context.Background(), "life") }},
	} {
		if got := testing.AllocsPerRun(200, c.call); got > c.most {
			t.Errorf("%s: %v allocations, not %v", what, got, c.most)
		}
	}
}
