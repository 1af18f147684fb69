//go:build linux && cgo

package nsgate_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/netip"
	"os"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// newVolume makes a directory for an example.
func newVolume() string {
	volume, err := os.MkdirTemp("", "volume")
	if err != nil {
		log.Fatal(err)
	}
	return volume
}

func ExampleGate() {
	gate, err := nsgate.Open(nsgate.WithCapacity(1000))
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	report, err := gate.Close(ctx)
	fmt.Println(report, err)
	// Output: released 0, failed 0, abandoned 0, remaining 0, stuck 0 <nil>
}

func ExampleChroot() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	volume := newVolume()
	defer os.RemoveAll(volume)

	chroot, err := gate.OpenChroot(volume, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer chroot.Close()
	chroot.MkdirAll("etc", 0o755)
	chroot.WriteFile("etc/hostname", []byte("sandbox"), 0o644)
	chroot.Symlink("/etc/hostname", "name") // "/" is the volume
	name, err := chroot.ReadFile("name")
	fmt.Println(string(name), err)
	_, err = chroot.Open("../../etc/passwd")
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// sandbox <nil>
	// true
}

func ExampleChroot_Do() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	volume := newVolume()
	defer os.RemoveAll(volume)
	chroot, _ := gate.OpenChroot(volume, nil)
	defer chroot.Close()

	err := chroot.Do(context.Background(), func() error {
		entries, err := os.ReadDir("/")
		fmt.Println(len(entries), "entries in the root directory")
		return err
	})
	fmt.Println(err)
	// Output:
	// 0 entries in the root directory
	// <nil>
}

func ExampleChroot_FS() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	volume := newVolume()
	defer os.RemoveAll(volume)
	chroot, _ := gate.OpenChroot(volume, nil)
	defer chroot.Close()

	chroot.MkdirAll("a/b", 0o755)
	fs.WalkDir(chroot.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		fmt.Println(path)
		return err
	})
	// Output:
	// .
	// a
	// a/b
}

func ExampleMountNamespace() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())

	ns, err := gate.CreateNamespace()
	if err != nil {
		log.Fatal(err)
	}
	defer ns.Close()
	current, _ := gate.CurrentNamespace()
	defer current.Close()
	a, _ := ns.ID()
	b, _ := current.ID()
	fmt.Println(a == b)
	// Output: false
}

func ExampleTicket() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	volume := newVolume()
	defer os.RemoveAll(volume)
	chroot, _ := gate.OpenChroot(volume, nil)

	ticket, err := chroot.Release() // never waits
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	event, err := ticket.Wait(ctx)
	fmt.Println(event.Kind, event.Outcome, err)
	// Output: chroot released <nil>
}

func ExampleJob() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())

	job, err := gate.Reserve("clean up", func(ctx context.Context) error {
		fmt.Println("cleaning up")
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	defer job.Free()
	ticket, _ := job.Submit()
	event, _ := ticket.Wait(context.Background())
	fmt.Println(event.Kind, event.Outcome)
	// Output:
	// cleaning up
	// job released
}

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
