//go:build linux && cgo

package nsgate_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"syscall"
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

func ExampleOption() {
	gate, err := nsgate.Open(
		nsgate.WithCapacity(10_000),
		nsgate.WithRetry(0, 0, 3, 0), // three attempts, the other limits as they are
		nsgate.WithWorkers(8, 0),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer gate.Close(context.Background())
	stats, _ := gate.Stats()
	fmt.Println(stats.Capacity)
	// Output: 10000
}

func ExampleFeatures() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())

	features, err := gate.Features()
	if !features.MountProof {
		log.Print("releases will be unverified here")
	}
	fmt.Println(features.MountSetattr, err)
	// Output: true <nil>
}

func ExampleChrootOptions() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	volume := newVolume()
	defer os.RemoveAll(volume)

	chroot, err := gate.OpenChroot(volume, &nsgate.ChrootOptions{ReadOnly: true, NoExec: true})
	if err != nil {
		log.Fatal(err)
	}
	defer chroot.Close()
	err = chroot.Mkdir("logs", 0o755)
	fmt.Println(errors.Is(err, syscall.EROFS))
	// Output: true
}

func ExampleNamespaceID() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	current, _ := gate.CurrentNamespace()
	defer current.Close()
	process, _ := gate.OpenProcessNamespace(os.Getpid())
	defer process.Close()

	a, _ := current.ID()
	b, _ := process.ID()
	fmt.Println(a == b)
	// Output: true
}

func ExampleStatfs() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	volume := newVolume()
	defer os.RemoveAll(volume)
	chroot, _ := gate.OpenChroot(volume, nil)
	defer chroot.Close()

	stat, err := chroot.Statfs("/")
	free := stat.BlocksAvailable * uint64(stat.FragmentSize)
	fmt.Println(free <= stat.Blocks*uint64(stat.FragmentSize), err)
	// Output: true <nil>
}
