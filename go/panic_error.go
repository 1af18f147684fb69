package nsgate

import (
	"fmt"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// PanicError is the error of a function that panicked where the panic couldn't go on: in a job, or in a
// subscriber. Who called gets it as an error.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // where, as debug.Stack has it
	Where string // "job", or the name of the subscriber
}

// Error tells value and place, without the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("nsgate: panic in %s: %v", e.Where, e.Value)
}

// Unwrap returns the value of the panic if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// endingError is the error of a job that didn't return, nil if it did.
func endingError(ending capi.Ending) error {
	switch {
	case ending.Panicked:
		return &PanicError{Value: ending.Value, Stack: ending.Stack, Where: "job"}
	case ending.Goexit:
		return ErrGoexit
	}
	return nil
}
