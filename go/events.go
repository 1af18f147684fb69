package nsgate

import (
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// events reads the release events of a gate: one goroutine sleeps in the netpoller until the library
// says by an event descriptor that there are some, and hands them to whoever waits.
type events struct {
	gate  uint64
	file  *os.File
	ended chan struct{}

	reading chan struct{} // full while events are taken and told, which keeps their order
	last    uint64        // sequence of the last event, guarded by reading

	mu      sync.Mutex
	stopped bool // nothing is told any more
	waiters map[uint64][]*waiter
	changed chan struct{} // closed at the next event; nil if nobody asked
	tell    []*listener
}

// waiter waits for one ticket. event and err are set before done is closed.
type waiter struct {
	done  chan struct{}
	event capi.Event
	err   error
}

type listener struct{ call func(*capi.Event) }

func startEvents(gate uint64) (*events, error) {
	ev := &events{gate: gate, ended: make(chan struct{}), reading: make(chan struct{}, 1), waiters: make(map[uint64][]*waiter)}
	var e capi.Error
	if capi.GateEvents(gate, &ev.file, &e) != capi.StatusOK {
		return nil, newError(&e)
	}
	go ev.run()
	return ev, nil
}

func (ev *events) run() {
	defer close(ev.ended)
	conn, err := ev.file.SyscallConn()
	if err != nil {
		return
	}
	// The descriptor is readable while there are events; it is the library that reads it. This returns
	// when the file is closed.
	_ = conn.Read(func(uintptr) (over bool) {
		ev.look()
		return false
	})
}

// look takes and tells the events that there are.
func (ev *events) look() {
	ev.reading <- struct{}{}
	defer func() { <-ev.reading }()
	ev.read()
}

// lastLook is how long the close of a gate waits for its listeners.
const lastLook = time.Second

// lookOnce more, which a listener that hangs, waits for the caller or is the caller can't keep from its
// end. False: it did.
func (ev *events) lookOnceMore() bool {
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		ev.reading <- struct{}{}
		defer func() {
			ev.stopTelling() // before run may look again, and call a listener
			<-ev.reading
		}()
		ev.read()
	}()
	late := time.NewTimer(lastLook)
	defer late.Stop()
	select {
	case <-looked:
		return true
	case <-late.C:
		ev.stopTelling()
		return false
	}
}

func (ev *events) stopTelling() {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	ev.stopped = true
}

// read is done with reading.
func (ev *events) read() {
	var buffer [64]capi.Event
	for {
		var count int
		var e capi.Error
		if capi.GateReadEvents(ev.gate, buffer[:], &count, &e) != capi.StatusOK || count == 0 {
			return
		}
		for i := range buffer[:count] {
			if !ev.told(&buffer[i]) {
				return
			}
		}
	}
}

// told hands an event to those who wait for it. After a gap, events were dropped, perhaps awaited ones.
// False: the gate has closed.
func (ev *events) told(event *capi.Event) bool {
	gap := event.Sequence != ev.last+1
	ev.last = event.Sequence
	ev.mu.Lock()
	if ev.stopped {
		ev.mu.Unlock()
		return false
	}
	ev.finish(event.Ticket, func(w *waiter) { w.event = *event })
	ev.wake()
	listeners := ev.tell
	var missed []uint64
	if gap {
		missed = slices.Collect(maps.Keys(ev.waiters))
	}
	ev.mu.Unlock()
	for _, ticket := range missed {
		ev.lookFor(ticket)
	}
	for _, listener := range listeners {
		listener.call(event)
	}
	return true
}

// finish ends the wait for a ticket. ev.mu is held.
func (ev *events) finish(ticket uint64, set func(*waiter)) {
	for _, w := range ev.waiters[ticket] {
		set(w)
		close(w.done)
	}
	delete(ev.waiters, ticket)
}

// wake tells those who wait for any event. ev.mu is held.
func (ev *events) wake() {
	if ev.changed != nil {
		close(ev.changed)
		ev.changed = nil
	}
}

// ask asks how the release with a ticket ended. False: it has not.
func (ev *events) ask(ticket uint64, event *capi.Event) (ended bool, err error) {
	var e capi.Error
	switch capi.GateLook(ev.gate, ticket, event, &e) {
	case capi.StatusOK:
		return true, nil
	case capi.StatusTimedOut:
		return false, nil
	}
	return false, newError(&e)
}

// lookFor ends the waits for a ticket if its release has ended.
func (ev *events) lookFor(ticket uint64) {
	var event capi.Event
	ended, err := ev.ask(ticket, &event)
	if !ended && err == nil {
		return
	}
	ev.mu.Lock()
	defer ev.mu.Unlock()
	ev.finish(ticket, func(w *waiter) { w.event, w.err = event, err })
}

func (ev *events) await(ticket uint64) (*waiter, error) {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	if ev.stopped {
		return nil, ErrClosed
	}
	w := &waiter{done: make(chan struct{})}
	ev.waiters[ticket] = append(ev.waiters[ticket], w)
	return w, nil
}

func (ev *events) leave(ticket uint64, w *waiter) {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	left := slices.DeleteFunc(ev.waiters[ticket], func(other *waiter) bool { return other == w })
	if len(left) == 0 {
		delete(ev.waiters, ticket)
	} else {
		ev.waiters[ticket] = left
	}
}

// news returns a channel that is closed at the next event.
func (ev *events) news() <-chan struct{} {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	if ev.changed == nil {
		ev.changed = make(chan struct{})
	}
	return ev.changed
}

func (ev *events) subscribe(call func(*capi.Event)) (stop func()) {
	l := &listener{call}
	ev.mu.Lock()
	defer ev.mu.Unlock()
	ev.tell = append(slices.Clone(ev.tell), l)
	return func() {
		ev.mu.Lock()
		defer ev.mu.Unlock()
		ev.tell = slices.DeleteFunc(slices.Clone(ev.tell), func(other *listener) bool { return other == l })
	}
}

// stop tells the last events, once the gate has closed, and ends the reader.
func (ev *events) stop() {
	told := ev.lookOnceMore()
	ev.mu.Lock()
	waited := slices.Collect(maps.Keys(ev.waiters))
	ev.mu.Unlock()
	for _, ticket := range waited { // whose events were dropped, or not told
		ev.lookFor(ticket)
	}
	ev.mu.Lock()
	for ticket := range ev.waiters { // handed over after the close
		ev.finish(ticket, func(w *waiter) { w.err = ErrClosed })
	}
	ev.wake()
	ev.mu.Unlock()
	if told {
		ev.file.Close()
	} else {
		go ev.file.Close() // it waits for the reader, which is in the listener
	}
}
