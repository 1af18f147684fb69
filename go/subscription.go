package nsgate

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Subscription ends a [Subscriber]. It need not be kept: the subscriber ends with its map.
type Subscription struct {
	*subscription
	m *mapHandle // keeps the map, which the subscriber does not
}

type subscription struct {
	gate *gate
	key  uint64 // by which callbacks find it
	id   uint64 // the library's
	name string

	mu    sync.Mutex
	over  bool          // no new OnRelease starts
	ended chan struct{} // closed after the last call
}

// subscriber is a subscription as the callbacks see it.
type subscriber[T any] struct {
	*subscription
	callbacks Subscriber[T]
	release   ReleaseSubscriber[T] // nil if it doesn't want to know
}

// Subscribe adds a subscriber to the end of the list, under a name for reports: not empty and at most
// 255 bytes.
func (m *Map[T]) Subscribe(name string, callbacks Subscriber[T]) (*Subscription, error) {
	if callbacks == nil {
		return nil, &Error{Status: StatusInvalidArgument, Message: "subscriber is nil"}
	}
	s := &subscriber[T]{
		subscription: &subscription{gate: m.gate, name: name, ended: make(chan struct{})},
		callbacks:    callbacks,
	}
	s.release, _ = callbacks.(ReleaseSubscriber[T])
	var e capi.Error
	status := capi.MapSubscribe(m.handle.id, name, s, s.release != nil, &s.key, &s.id, &e)
	runtime.KeepAlive(m)
	if status != capi.StatusOK {
		return nil, newError(&e)
	}
	return &Subscription{s.subscription, m.handle}, nil
}

// Unsubscribe ends the subscriber: no new call of it starts after this returns. It may be called from
// inside its own callbacks. A second one answers ErrNotFound or ErrClosed.
func (s *Subscription) Unsubscribe() error {
	s.end()
	var e capi.Error
	status := capi.MapUnsubscribe(s.m.id, s.id, &e)
	runtime.KeepAlive(s.m)
	if status != capi.StatusOK {
		return newError(&e)
	}
	return nil
}

// end keeps new calls of OnRelease from starting.
func (s *subscription) end() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
}

// UnsubscribeWait ends the subscriber, if Unsubscribe has not, and waits for the end of its last call, or
// until ctx is done. From inside a callback it can't be interrupted by ctx.
//
// ErrWouldDeadlock, with nothing changed: it is called from inside a callback of this subscriber, or of
// one that this one waits for.
func (s *Subscription) UnsubscribeWait(ctx context.Context) error {
	place := capi.WhereAmI(s.key)
	if place&capi.InThisRelease != 0 {
		return ErrWouldDeadlock
	}
	if place&capi.InCallback != 0 {
		var e capi.Error
		status := capi.MapUnsubscribeWait(s.m.id, s.id, &e)
		runtime.KeepAlive(s.m)
		if err := newError(&e); status != capi.StatusOK && !s.isOver(err) {
			return err
		}
		s.end()
		if place&capi.InRelease != 0 {
			return nil // who would say that it has ended is the goroutine we are on
		}
	} else if err := s.Unsubscribe(); err != nil && !s.isOver(err) {
		return err
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isOver tells whether an error only says that the subscriber had ended before.
func (s *subscription) isOver(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrClosed)
}

// SubscriberStats are the figures of one subscriber.
type SubscriberStats struct {
	Name     string
	Calls    uint64
	Slow     uint64 // over the gate's callback budget
	Failures uint64 // panics in Go are failures here
	Longest  time.Duration
}

// Stats reads the statistics of the subscriber's OnInsert and OnNetworkRelease.
func (s *Subscription) Stats() (SubscriberStats, error) {
	var c capi.SubscriberStats
	var e capi.Error
	status := capi.MapSubscriberStats(s.m.id, s.id, &c, &e)
	runtime.KeepAlive(s.m)
	if status != capi.StatusOK {
		return SubscriberStats{}, newError(&e)
	}
	return SubscriberStats{
		Name:     s.name,
		Calls:    c.Calls,
		Slow:     c.Slow,
		Failures: c.Failures + c.Panics,
		Longest:  time.Duration(c.Longest),
	}, nil
}

func (s *subscriber[T]) Insert(told, call any) bool {
	l, c := told.(*life[T]), call.(*change)
	return s.contain(c, func() { s.callbacks.OnInsert(c.ctx, l.value) })
}

func (s *subscriber[T]) NetworkRelease(told, call any) bool {
	l, c := told.(*life[T]), call.(*change)
	return s.contain(c, func() { s.callbacks.OnNetworkRelease(c.ctx, l.value) })
}

func (s *subscriber[T]) Release(told any, event *capi.Event) {
	s.mu.Lock()
	over := s.over
	s.mu.Unlock()
	if over || s.release == nil {
		return
	}
	l, c := told.(*life[T]), &change{}
	s.contain(c, func() { s.release.OnRelease(context.Background(), l.value, newEvent(s.gate, event)) })
	for _, p := range c.panics {
		s.gate.log.say(slog.LevelError, "nsgate: panic in OnRelease", "subscriber", s.name, "panic", p.Value, "stack", string(p.Stack))
	}
}

func (s *subscriber[T]) Ended() { close(s.ended) }

// contain calls a callback and keeps its panic for the caller of the change.
func (s *subscriber[T]) contain(c *change, call func()) (ok bool) {
	defer func() {
		if ok {
			return
		}
		value := recover()
		if value == nil {
			stopForGoexit(s.name)
		}
		c.panics = append(c.panics, &PanicError{Value: value, Stack: debug.Stack(), Where: s.name})
	}()
	call()
	return true
}

// stopForGoexit ends the program: the goroutine that is ending has frames of the library below it, which
// would be cut off in the middle of their work.
func stopForGoexit(name string) {
	go panic("nsgate: subscriber " + name + " called runtime.Goexit, perhaps by t.FailNow")
	select {}
}
