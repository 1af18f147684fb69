//go:build !linux || !cgo

package nsgate_test

import (
	"errors"
	"testing"

	nsgate "github.com/nsgate/nsgate/go"
)

func TestWithoutTheLibraryEverythingIsUnsupported(t *testing.T) {
	_, err := nsgate.Open()
	if !errors.Is(err, nsgate.ErrUnsupported) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
