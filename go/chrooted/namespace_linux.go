package chrooted

import (
	"fmt"
	"syscall"
)

// nsfsMagic is the f_type of statfs(2) for a namespace.
const nsfsMagic = 0x6e736673

// IsNSorErr returns nil if path is a namespace, such as "/proc/self/ns/mnt". Otherwise the error is a
// [NSPathNotExistError], a [NSPathNotNSError], or wraps the errno.
func IsNSorErr(path string) error {
	var stat syscall.Statfs_t
	err := syscall.Statfs(path, &stat)
	switch {
	case err == syscall.ENOENT:
		return NSPathNotExistError{fmt.Sprintf("statfs %q: %v", path, err)}
	case err != nil:
		return fmt.Errorf("statfs %q: %w", path, err)
	case uint32(stat.Type) != nsfsMagic:
		return NSPathNotNSError{fmt.Sprintf("%q is no namespace: its file system is of type %#x", path, uint32(stat.Type))}
	}
	return nil
}
