package chrooted

import (
	"context"
	"sync"

	nsgate "github.com/nsgate/nsgate/go"
)

// standard is the gate of those who have none of their own.
var standard struct {
	sync.Mutex
	gate *nsgate.Gate
}

// DefaultGate returns the gate that chroots come from without [WithGate]. It is opened by the first call,
// or by the next after [CloseDefaultGate] or a failure, and like every gate not from inside a Do.
func DefaultGate() (*nsgate.Gate, error) {
	standard.Lock()
	defer standard.Unlock()
	if standard.gate == nil {
		gate, err := nsgate.Open()
		if err != nil {
			return nil, err
		}
		standard.gate = gate
	}
	return standard.gate, nil
}

// CloseDefaultGate closes the default gate as [nsgate.Gate.Close] does, if it is open: for the end of a
// program, which then sees in the report whether something was left.
func CloseDefaultGate(ctx context.Context) (nsgate.Report, error) {
	standard.Lock()
	gate := standard.gate
	standard.gate = nil
	standard.Unlock()
	if gate == nil {
		return nsgate.Report{}, nil
	}
	report, err := gate.Close(ctx)
	if err != nil {
		standard.Lock()
		if standard.gate == nil {
			standard.gate = gate
		}
		standard.Unlock()
	}
	return report, err
}
