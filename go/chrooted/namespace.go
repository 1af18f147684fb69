package chrooted

import "io/fs"

// NSPathNotExistError is the error of [IsNSorErr] for a path that doesn't exist. It is a fs.ErrNotExist.
type NSPathNotExistError struct{ msg string }

func (e NSPathNotExistError) Error() string { return e.msg }

// Unwrap returns fs.ErrNotExist.
func (e NSPathNotExistError) Unwrap() error { return fs.ErrNotExist }

// NSPathNotNSError is the error of [IsNSorErr] for a path that is no namespace.
type NSPathNotNSError struct{ msg string }

func (e NSPathNotNSError) Error() string { return e.msg }
