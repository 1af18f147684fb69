//go:build linux && cgo

package nsgate_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	nsgate "github.com/nsgate/nsgate/go"
)

// kept is places that goroutines put things into and take them from.
type kept[T any] [32]atomic.Pointer[T]

func (k *kept[T]) place(r *rand.Rand) *atomic.Pointer[T] { return &k[r.IntN(len(k))] }

// world is lives, chroots, jobs and subscribers that any goroutine takes up and works on at random.
type world struct {
	*tally
	t      *testing.T
	gate   *nsgate.Gate
	m      *nsgate.Map[*box]
	volume string
	next   atomic.Uint64

	lives         kept[nsgate.Sandbox[*box]]
	places        kept[nsgate.Chroot]
	hostJobs      kept[soakJob]
	subscriptions kept[nsgate.Subscription]
	listeners     kept[func()]
}

func newWorld(t *testing.T, gate *nsgate.Gate, counts *tally) *world {
	w := &world{tally: counts, t: t, gate: gate, volume: t.TempDir()}
	w.m = get[*nsgate.Map[*box]](t)(nsgate.NewMap[*box](gate))
	must(t, os.WriteFile(filepath.Join(w.volume, "marker"), []byte("inside"), 0o600))
	// It is there from the beginning, and hears everything.
	get[*nsgate.Subscription](t)(w.m.Subscribe("first", nsgate.Callbacks[*box]{
		Insert:         func(context.Context, *box) { w.inserts.told.Add(1) },
		NetworkRelease: func(context.Context, *box) { w.networks.told.Add(1) },
	}))
	return w
}

func (w *world) act(r *rand.Rand) {
	switch r.IntN(20) {
	case 0:
		w.register(r)
	case 1, 2, 3:
		w.changeLife(r)
	case 4:
		w.end(w.lives.place(r).Swap(nil))
	case 5, 6, 7, 8:
		w.open(r)
	case 9, 10, 11:
		w.operate(r)
	case 12, 13:
		w.release(r)
	case 14:
		w.reserve(r)
	case 15, 16:
		w.useJob(r)
	case 17:
		w.changeSubscribers(r)
	case 18:
		w.changeListeners(r)
	case 19:
		w.look(r)
	}
}

func (w *world) register(r *rand.Rand) {
	n := w.next.Add(1)
	s, err := w.m.Register(fmt.Sprint("sandbox ", n%32), fmt.Sprint("life ", n), &box{})
	if err != nil {
		w.t.Error(err)
		return
	}
	w.end(w.lives.place(r).Swap(s))
}

func (w *world) end(s *nsgate.Sandbox[*box]) {
	if s != nil {
		allow(w.t, second(s.MarkStopped(context.Background())))
		w.releaseNetwork(s)
	}
}

func (w *world) releaseNetwork(s *nsgate.Sandbox[*box]) {
	changed, err := s.NetworkReleased(context.Background())
	allow(w.t, err)
	if changed {
		w.networks.done.Add(1)
	}
}

func (w *world) changeLife(r *rand.Rand) {
	s := w.lives.place(r).Load()
	if s == nil {
		return
	}
	switch r.IntN(4) {
	case 0:
		address := netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(64))})
		allow(w.t, second(s.AssignNetwork(address)), nsgate.ErrInvalidState, nsgate.ErrClosed, nsgate.ErrAlreadyExists)
	case 1:
		changed, err := s.MarkRunning(context.Background())
		allow(w.t, err, nsgate.ErrInvalidState, nsgate.ErrClosed)
		if changed {
			w.inserts.done.Add(1)
		}
	case 2:
		allow(w.t, second(s.MarkStopping(context.Background())), nsgate.ErrInvalidState, nsgate.ErrClosed)
	case 3:
		w.releaseNetwork(s)
	}
}

func (w *world) changeSubscribers(r *rand.Rand) {
	place := w.subscriptions.place(r)
	subscription := place.Swap(nil)
	switch {
	case subscription == nil:
		hears := func(context.Context, *box) { w.heard.Add(1) }
		callbacks := nsgate.Callbacks[*box]{Insert: hears, NetworkRelease: hears}
		if r.IntN(2) == 0 {
			callbacks.Release = func(context.Context, *box, nsgate.Event) { w.heard.Add(1) }
		}
		subscription, err := w.m.Subscribe("soak", callbacks)
		allow(w.t, err)
		w.subscribers.Add(1)
		if old := place.Swap(subscription); old != nil {
			allow(w.t, old.Unsubscribe())
		}
	case r.IntN(2) == 0:
		allow(w.t, subscription.Unsubscribe())
	default:
		w.unsubscribe(subscription)
	}
}

// unsubscribe ends a subscription and waits for its last call.
func (w *world) unsubscribe(s *nsgate.Subscription) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	allow(w.t, s.UnsubscribeWait(ctx))
}

func (w *world) changeListeners(r *rand.Rand) {
	place := w.listeners.place(r)
	if stop := place.Swap(nil); stop != nil {
		(*stop)()
		return
	}
	stop := w.gate.OnRelease(func(nsgate.Event) { w.heard.Add(1) })
	w.subscribers.Add(1)
	if old := place.Swap(&stop); old != nil {
		(*old)()
	}
}

func (w *world) look(r *rand.Rand) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch r.IntN(7) {
	case 0:
		allow(w.t, w.gate.Fence(ctx))
	case 1, 2:
		w.clearFailed(r)
	case 3:
		w.m.Get("sandbox 0")
	case 4:
		w.m.GetByAddress(netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(64))}))
	case 5:
		w.m.Items()
	case 6:
		stats, err := w.gate.Stats()
		allow(w.t, err)
		if stats.Reserved > stats.Capacity {
			w.t.Errorf("%d of %d places", stats.Reserved, stats.Capacity)
		}
	}
}

// clearFailed gives what failed another try, or forgets it. Another goroutine may be quicker.
func (w *world) clearFailed(r *rand.Rand) {
	items, err := w.gate.Remaining()
	allow(w.t, err)
	for _, item := range items {
		if item.State != nsgate.ItemFailed {
			continue
		}
		if r.IntN(2) == 0 {
			allow(w.t, item.Ticket.Forget(), nsgate.ErrNotFound, nsgate.ErrInvalidState)
			continue
		}
		_, err := item.Ticket.Retry()
		allow(w.t, err, nsgate.ErrNotFound, nsgate.ErrInvalidState, nsgate.ErrFull)
		if err == nil {
			w.jobs.done.Add(1)
		}
	}
}

// takeDown ends everything that is left.
func (w *world) takeDown() {
	for i := range w.lives {
		w.end(w.lives[i].Swap(nil))
	}
	for i := range w.places {
		if chroot := w.places[i].Swap(nil); chroot != nil {
			allow(w.t, chroot.Close(), nsgate.ErrClosed)
		}
	}
	for i := range w.hostJobs {
		w.submit(w.hostJobs[i].Swap(nil))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(w.t, w.m.WaitLifecycles(ctx))
	equal(w.t, w.m.Count()+w.m.Lifecycles(), 0)
	for i := range w.subscriptions {
		if subscription := w.subscriptions[i].Swap(nil); subscription != nil {
			w.unsubscribe(subscription)
		}
	}
	for i := range w.listeners {
		if stop := w.listeners[i].Swap(nil); stop != nil {
			(*stop)()
		}
	}
	must(w.t, w.m.Close())
}
