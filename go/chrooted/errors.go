package chrooted

import (
	"errors"
	"io/fs"
	"os"

	nsgate "github.com/nsgate/nsgate/go"
)

// ErrNamespaceClosed is the error of every operation of a [Chrooted] that is closed, of a second Close,
// too. It is also an [nsgate.ErrClosed] and a [fs.ErrClosed].
var ErrNamespaceClosed error = namespaceClosed{}

type namespaceClosed struct{}

func (namespaceClosed) Error() string { return "namespace is closed" }

func (namespaceClosed) Is(target error) bool {
	return target == fs.ErrClosed || target == error(nsgate.ErrClosed)
}

// answer says of what is closed that it is a namespace.
func answer(err error) error {
	if err == nil || !errors.Is(err, nsgate.ErrClosed) {
		return err
	}
	switch e := err.(type) {
	case *fs.PathError:
		return &fs.PathError{Op: e.Op, Path: e.Path, Err: ErrNamespaceClosed}
	case *os.LinkError:
		return &os.LinkError{Op: e.Op, Old: e.Old, New: e.New, Err: ErrNamespaceClosed}
	}
	return ErrNamespaceClosed
}
