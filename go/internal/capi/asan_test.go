//go:build linux && asan

package capi

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"
)

// TestAddressSanitizerEndsAProcess has a child read beyond what it has.
func TestAddressSanitizerEndsAProcess(t *testing.T) {
	const inChild = "NSGATE_TEST_READ_BEYOND"
	if os.Getenv(inChild) != "" {
		stat := new(Stat)
		beyond := (*byte)(unsafe.Add(unsafe.Pointer(stat), unsafe.Sizeof(*stat)))
		t.Log(*beyond)
		return
	}
	child := exec.Command("/proc/self/exe", "-test.run=^TestAddressSanitizerEndsAProcess$")
	child.Env = append(os.Environ(), inChild+"=1")
	if said, err := child.CombinedOutput(); err == nil || !strings.Contains(string(said), "AddressSanitizer") {
		t.Errorf("%v\n%s", err, said)
	}
}
