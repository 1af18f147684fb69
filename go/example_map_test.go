//go:build linux && cgo

package nsgate_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"os"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// VM is what a host keeps of a sandbox.
type VM struct{ Name string }

// metrics is a subscriber.
type metrics struct{}

func (metrics) OnInsert(ctx context.Context, vm *VM)         { fmt.Println(vm.Name, "runs") }
func (metrics) OnNetworkRelease(ctx context.Context, vm *VM) { fmt.Println(vm.Name, "has no network") }

func ExampleMap() {
	ctx := context.Background()
	gate, _ := nsgate.Open()
	defer gate.Close(ctx)
	volume := newVolume()
	defer os.RemoveAll(volume)

	sandboxes, err := nsgate.NewMap[*VM](gate)
	if err != nil {
		log.Fatal(err)
	}
	defer sandboxes.Close()
	sandboxes.Subscribe("metrics", metrics{})

	sandbox, _ := sandboxes.Register("sandbox-1", "life-1", &VM{"first"})
	sandbox.AssignNetwork(netip.MustParseAddr("10.0.0.1"))
	sandbox.MarkRunning(ctx)
	vm, _ := sandboxes.GetByHostPort("10.0.0.1:2049")
	fmt.Println(vm.Name, "connects")

	chroot, _ := gate.OpenChroot(volume, nil)
	sandbox.Attach(chroot) // it is the sandbox's now

	sandbox.MarkStopping(ctx)
	sandbox.NetworkReleased(ctx) // hands the chroot over, and doesn't wait
	sandbox.MarkStopped(ctx)
	fmt.Println(sandboxes.WaitLifecycles(ctx), chroot.IsClosed())
	// Output:
	// first runs
	// first connects
	// first has no network
	// <nil> true
}

func ExampleSubscription() {
	ctx := context.Background()
	gate, _ := nsgate.Open()
	defer gate.Close(ctx)
	sandboxes, _ := nsgate.NewMap[*VM](gate)
	defer sandboxes.Close()

	subscription, err := sandboxes.Subscribe("limiter", nsgate.Callbacks[*VM]{
		Insert: func(ctx context.Context, vm *VM) { fmt.Println("one more:", vm.Name) },
	})
	if err != nil {
		log.Fatal(err)
	}
	sandbox, _ := sandboxes.Register("sandbox-1", "life-1", &VM{"first"})
	sandbox.MarkRunning(ctx)
	fmt.Println(subscription.UnsubscribeWait(ctx))
	// Output:
	// one more: first
	// <nil>
}

func ExampleSubscriberStats() {
	ctx := context.Background()
	gate, _ := nsgate.Open(nsgate.WithBudgets(0, 0, time.Minute)) // what takes longer is slow
	defer gate.Close(ctx)
	sandboxes, _ := nsgate.NewMap[*VM](gate)
	defer sandboxes.Close()
	subscription, _ := sandboxes.Subscribe("limiter", nsgate.Callbacks[*VM]{})
	sandbox, _ := sandboxes.Register("sandbox-1", "life-1", &VM{"first"})
	sandbox.MarkRunning(ctx)

	stats, err := subscription.Stats()
	fmt.Println(stats.Name, stats.Calls, "call,", stats.Slow, "slow,", err)
	// Output: limiter 1 call, 0 slow, <nil>
}

func ExampleCallbacks() {
	ctx := context.Background()
	gate, _ := nsgate.Open()
	defer gate.Close(ctx)
	sandboxes, _ := nsgate.NewMap[*VM](gate)
	defer sandboxes.Close()

	sandboxes.Subscribe("limiter", nsgate.Callbacks[*VM]{
		Insert:         func(ctx context.Context, vm *VM) { fmt.Println("one more:", vm.Name) },
		NetworkRelease: func(ctx context.Context, vm *VM) { fmt.Println("one less:", vm.Name) },
	})
	sandbox, _ := sandboxes.Register("sandbox-1", "life-1", &VM{"first"})
	sandbox.MarkRunning(ctx)
	sandbox.NetworkReleased(ctx)
	// Output:
	// one more: first
	// one less: first
}

func ExampleSubscriber() {
	ctx := context.Background()
	gate, _ := nsgate.Open()
	defer gate.Close(ctx)
	sandboxes, _ := nsgate.NewMap[*VM](gate)
	defer sandboxes.Close()

	var subscriber nsgate.Subscriber[*VM] = metrics{} // two methods: OnInsert, OnNetworkRelease
	if _, err := sandboxes.Subscribe("metrics", subscriber); err != nil {
		log.Fatal(err)
	}
	sandbox, _ := sandboxes.Register("sandbox-1", "life-1", &VM{"first"})
	sandbox.MarkRunning(ctx)
	// Output: first runs
}

// volumes is a subscriber that also wants to know when a sandbox's chroots are gone.
type volumes struct {
	metrics
	gone chan nsgate.Kind
}

func (v volumes) OnRelease(ctx context.Context, vm *VM, event nsgate.Event) { v.gone <- event.Kind }

func ExampleReleaseSubscriber() {
	ctx := context.Background()
	gate, _ := nsgate.Open()
	defer gate.Close(ctx)
	volume := newVolume()
	defer os.RemoveAll(volume)
	sandboxes, _ := nsgate.NewMap[*VM](gate)
	defer sandboxes.Close()
	subscriber := volumes{gone: make(chan nsgate.Kind, 1)} // buffered: a callback must not block
	sandboxes.Subscribe("volumes", subscriber)

	sandbox, _ := sandboxes.Register("sandbox-1", "life-1", &VM{"first"})
	chroot, _ := gate.OpenChroot(volume, nil)
	sandbox.Attach(chroot)
	sandbox.NetworkReleased(ctx)
	fmt.Println(<-subscriber.gone, "is gone")
	// Output:
	// first has no network
	// chroot is gone
}

func ExampleSandbox() {
	ctx := context.Background()
	gate, _ := nsgate.Open()
	defer gate.Close(ctx)
	volume := newVolume()
	defer os.RemoveAll(volume)
	sandboxes, _ := nsgate.NewMap[*VM](gate)
	defer sandboxes.Close()

	sandbox, err := sandboxes.Register("sandbox-1", "life-1", &VM{"first"})
	if err != nil {
		log.Fatal(err)
	}
	chroot, _ := gate.OpenChroot(volume, nil)
	sandbox.Attach(chroot) // from here on it is the sandbox's to release
	changed, err := sandbox.NetworkReleased(ctx)
	fmt.Println(changed, err, chroot.IsClosed())
	changed, err = sandbox.NetworkReleased(ctx) // nothing left to change
	fmt.Println(changed, err)
	// Output:
	// true <nil> true
	// false <nil>
}

func ExampleSandboxInfo() {
	ctx := context.Background()
	gate, _ := nsgate.Open()
	defer gate.Close(ctx)
	sandboxes, _ := nsgate.NewMap[*VM](gate)
	defer sandboxes.Close()
	sandbox, _ := sandboxes.Register("sandbox-1", "life-1", &VM{"first"})
	sandbox.AssignNetwork(netip.MustParseAddr("10.0.0.1"))

	info, err := sandbox.Info()
	fmt.Println(info.SandboxID, info.LifecycleID, info.State, info.Network, info.Address, info.Attached, err)
	// Output: sandbox-1 life-1 registered assigned 10.0.0.1 0 <nil>
}

func ExampleState() {
	ctx := context.Background()
	gate, _ := nsgate.Open()
	defer gate.Close(ctx)
	sandboxes, _ := nsgate.NewMap[*VM](gate)
	defer sandboxes.Close()
	sandbox, _ := sandboxes.Register("sandbox-1", "life-1", &VM{"first"})

	sandbox.MarkRunning(ctx)
	info, _ := sandbox.Info()
	fmt.Println(info.State, info.State == nsgate.StateRunning)
	// Output: running true
}

// The network's state is independent of the sandbox's: one that never ran may release it, too.
func ExampleNetworkState() {
	ctx := context.Background()
	gate, _ := nsgate.Open()
	defer gate.Close(ctx)
	sandboxes, _ := nsgate.NewMap[*VM](gate)
	defer sandboxes.Close()
	sandbox, _ := sandboxes.Register("sandbox-1", "life-1", &VM{"first"})

	sandbox.NetworkReleased(ctx)
	info, _ := sandbox.Info()
	fmt.Println(info.State, info.Network, info.Network == nsgate.NetworkReleased)
	// Output: registered released true
}
