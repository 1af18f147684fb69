//go:build !linux

package chrooted

import (
	"errors"
	"fmt"
)

// IsNSorErr needs Linux: the error is errors.ErrUnsupported.
func IsNSorErr(path string) error {
	return fmt.Errorf("namespace %q: %w", path, errors.ErrUnsupported)
}
