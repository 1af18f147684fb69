package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// sandbox is the host's own value in the map.
type sandbox struct {
	id, lifecycleID string
	address         netip.Addr
	run             *sandboxRun
}

func sandboxID(number int) string { return fmt.Sprintf("sandbox-%02d", number) }

// orchestrator starts and stops sandboxes.
type orchestrator struct {
	gate        *nsgate.Gate
	sandboxes   *nsgate.Map[*sandbox]
	lives       []*nsgate.Sandbox[*sandbox]
	limiter     *limiter
	metrics     *metrics
	volumes     *volumeHandler
	subscribers []*nsgate.Subscription
	work        work
	runs        []*sandboxRun
	stopped     time.Time
}

func newOrchestrator(gate *nsgate.Gate, store *store) (*orchestrator, error) {
	sandboxes, err := nsgate.NewMap[*sandbox](gate)
	if err != nil {
		return nil, err
	}
	o := &orchestrator{
		gate:      gate,
		sandboxes: sandboxes,
		limiter:   &limiter{limit: sandboxCount},
		metrics:   &metrics{},
		volumes: &volumeHandler{
			sandboxes: sandboxes, gate: gate, store: store,
			mounts: map[string]map[int]*nsgate.Chroot{},
		},
	}
	for _, s := range []struct {
		name       string
		subscriber nsgate.Subscriber[*sandbox]
	}{{"limiter", o.limiter}, {"metrics", o.metrics}, {"volume handler", o.volumes}} {
		subscription, err := sandboxes.Subscribe(s.name, s.subscriber)
		if err != nil {
			return nil, err
		}
		o.subscribers = append(o.subscribers, subscription)
	}
	return o, nil
}

// start brings all sandboxes up.
func (o *orchestrator) start(ctx context.Context, started func()) error {
	for number := 1; number <= sandboxCount; number++ {
		if err := o.limiter.admit(); err != nil {
			return err
		}
		s := &sandbox{
			id:          sandboxID(number),
			lifecycleID: sandboxID(number) + "/life-1",
			address:     netip.AddrFrom4([4]byte{10, 11, 0, byte(number)}),
		}
		s.run = &sandboxRun{id: s.id, address: s.address}
		life, err := o.sandboxes.Register(s.id, s.lifecycleID, s)
		if err != nil {
			return err
		}
		if _, err := life.AssignNetwork(s.address); err != nil {
			return err
		}
		if _, err := life.MarkRunning(ctx); err != nil {
			return err
		}
		o.lives = append(o.lives, life)
		o.runs = append(o.runs, s.run)
		started()
	}
	return nil
}

// serve has every sandbox work in each of its volumes, all at the same time.
func (o *orchestrator) serve(ctx context.Context, served func()) error {
	return o.forEach(func(life *nsgate.Sandbox[*sandbox]) error {
		s := life.Value()
		for volume := 1; volume <= volumesEach; volume++ {
			chroot, err := o.volumes.mount(s.address, volume)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", s.id, volumeName(volume), err)
			}
			if err := o.work.inVolume(ctx, chroot, s.id); err != nil {
				return err
			}
			served()
		}
		return nil
	})
}

// makeOneHang gives one volume a last step that takes two seconds, say a cache that is written back to
// a server which doesn't answer.
func (o *orchestrator) makeOneHang() error {
	life := o.lives[hangingSandbox-1]
	chroot := o.volumes.mounted(life.LifecycleID(), hangingVolume)
	if chroot == nil {
		return fmt.Errorf("%s has no %s", life.ID(), volumeName(hangingVolume))
	}
	life.Value().run.hangs = true
	return chroot.BeforeRelease(func(context.Context) error {
		time.Sleep(hang)
		return nil
	})
}

// stop ends all sandboxes at once, and notes how long each NetworkReleased held its caller.
func (o *orchestrator) stop(ctx context.Context) error {
	o.stopped = time.Now()
	return o.forEach(func(life *nsgate.Sandbox[*sandbox]) error {
		if _, err := life.MarkStopping(ctx); err != nil {
			return err
		}
		called := time.Now()
		changed, err := life.NetworkReleased(ctx)
		life.Value().run.called(o.stopped, time.Since(called))
		if err == nil && !changed {
			err = fmt.Errorf("%s: the network was released before", life.ID())
		}
		if err != nil {
			return err
		}
		_, err = life.MarkStopped(ctx)
		return err
	})
}

// waitUntilOnlyTheHangingOneIsLeft returns what the gate says about it in the middle of its hang.
func (o *orchestrator) waitUntilOnlyTheHangingOneIsLeft(ctx context.Context, gone func(int)) ([]nsgate.Item, error) {
	if err := o.waitForGone(ctx, sandboxCount*volumesEach-1, gone); err != nil {
		return nil, err
	}
	select {
	case <-time.After(time.Until(o.stopped.Add(hang / 2))):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return o.gate.Remaining()
}

// waitForTheRest waits until the last volume is gone and no life is left in the map.
func (o *orchestrator) waitForTheRest(ctx context.Context, gone func(int)) error {
	if err := o.waitForGone(ctx, sandboxCount*volumesEach, gone); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return o.sandboxes.WaitLifecycles(ctx)
}

func (o *orchestrator) waitForGone(ctx context.Context, wanted int, report func(int)) error {
	deadline := time.Now().Add(patience)
	for {
		gone := int(o.metrics.gone.Load())
		report(gone)
		if gone >= wanted {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d chroots are gone after %s", gone, wanted, patience)
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (o *orchestrator) subscriberStats() (all []nsgate.SubscriberStats, err error) {
	for _, s := range o.subscribers {
		stats, err := s.Stats()
		if err != nil {
			return nil, err
		}
		all = append(all, stats)
	}
	return all, nil
}

func (o *orchestrator) forEach(do func(*nsgate.Sandbox[*sandbox]) error) error {
	failures := make([]error, len(o.lives))
	var all sync.WaitGroup
	for i, life := range o.lives {
		all.Add(1)
		go func() {
			defer all.Done()
			failures[i] = do(life)
		}()
	}
	all.Wait()
	return errors.Join(failures...)
}
