package nsgate

import "context"

// Subscriber is called for the events of a [Map], on the goroutine of whoever makes the change, before
// that returns; in the order of subscription, in order for each sandbox, and under no lock. ctx is the
// caller's.
//
// Callbacks must not block: what takes longer than the gate's callback budget is counted. They may call
// everything here, also on the same map. A panic keeps no other subscriber from being called, and is
// returned as a *[PanicError] by the change, beside whether it changed anything.
//
// A callback must not end its goroutine by runtime.Goexit, as t.FailNow does: below it the library is at
// work. The program is stopped with a message then.
type Subscriber[T any] interface {
	// OnInsert is called when a sandbox runs.
	OnInsert(ctx context.Context, sandbox T)
	// OnNetworkRelease is called when a sandbox's network was released, after what is attached to it
	// was handed over for release.
	OnNetworkRelease(ctx context.Context, sandbox T)
}

// ReleaseSubscriber is a Subscriber that also wants to know when the chroots and jobs that were attached
// to a sandbox are gone. OnRelease is called from a goroutine of the gate, in order; its ctx is the
// background.
type ReleaseSubscriber[T any] interface {
	Subscriber[T]
	OnRelease(ctx context.Context, sandbox T, event Event)
}

// Callbacks is a Subscriber made of functions. Any may be nil.
type Callbacks[T any] struct {
	Insert         func(ctx context.Context, sandbox T)
	NetworkRelease func(ctx context.Context, sandbox T)
	Release        func(ctx context.Context, sandbox T, event Event)
}

// OnInsert calls Insert.
func (c Callbacks[T]) OnInsert(ctx context.Context, sandbox T) {
	if c.Insert != nil {
		c.Insert(ctx, sandbox)
	}
}

// OnNetworkRelease calls NetworkRelease.
func (c Callbacks[T]) OnNetworkRelease(ctx context.Context, sandbox T) {
	if c.NetworkRelease != nil {
		c.NetworkRelease(ctx, sandbox)
	}
}

// OnRelease calls Release.
func (c Callbacks[T]) OnRelease(ctx context.Context, sandbox T, event Event) {
	if c.Release != nil {
		c.Release(ctx, sandbox, event)
	}
}
