//go:build linux && cgo

package nsgate_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"syscall"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

func ExampleEvent() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	volume := newVolume()
	defer os.RemoveAll(volume)
	events := make(chan nsgate.Event, 1)
	stop := gate.OnRelease(func(event nsgate.Event) { events <- event })
	defer stop()

	chroot, _ := gate.OpenChroot(volume, nil)
	ticket, _ := chroot.Release()
	event := <-events
	fmt.Println(event.Ticket == ticket, event.Kind, event.Outcome, "at attempt", event.Attempts)
	// Output: true chroot released at attempt 1
}

func ExampleKind() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	file, _ := os.Open(os.DevNull)

	job, err := gate.ReserveClose(file, "a file that may hang") // the file is the gate's now
	if err != nil {
		log.Fatal(err)
	}
	defer job.Free()
	ticket, _ := job.Submit()
	event, _ := ticket.Wait(context.Background())
	fmt.Println(event.Kind, event.Kind == nsgate.KindDescriptor)
	// Output: descriptor true
}

func ExampleOutcome() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	job, _ := gate.Reserve("clean up", func(context.Context) error { return syscall.EIO })
	defer job.Free()

	ticket, _ := job.Submit()
	event, _ := ticket.Wait(context.Background())
	switch event.Outcome {
	case nsgate.OutcomeReleased:
		fmt.Println("done")
	case nsgate.OutcomeFailed:
		fmt.Println("given up:", job.Err())
		ticket.Forget() // or Retry
	}
	// Output: given up: input/output error
}

// What is proved depends on the kernel and on privileges: Features tell.
func ExampleProof() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	volume := newVolume()
	defer os.RemoveAll(volume)
	chroot, _ := gate.OpenChroot(volume, nil)
	file, _ := chroot.Create("data")
	defer file.Close()

	ticket, _ := chroot.Release()
	event, _ := ticket.Wait(context.Background())
	if event.Proof == nsgate.ProofHeld {
		log.Println(event.HeldDescriptors, "descriptors hold the mount: the file is open")
	}
	fmt.Println(event.Outcome, event.Proof != nsgate.ProofVerified)
	// Output: released true
}

func ExampleItem() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	job, _ := gate.Reserve("remove the lock", func(context.Context) error { return syscall.EACCES })
	defer job.Free()
	ticket, _ := job.Submit()
	ticket.Wait(context.Background())

	items, err := gate.Remaining()
	for _, item := range items {
		fmt.Println(item.Kind, item.Label, item.State, item.Errno)
	}
	fmt.Println(err)
	// Output:
	// job remove the lock failed permission denied
	// <nil>
}

func ExampleItemState() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())

	items, _ := gate.Remaining()
	for _, item := range items {
		if item.State == nsgate.ItemStuck {
			log.Printf("%s hangs for %v in %s", item.Label, item.Age, item.Detail)
		}
	}
	// Output:
}

func ExampleReport() {
	gate, _ := nsgate.Open()
	volume := newVolume()
	defer os.RemoveAll(volume)
	chroot, _ := gate.OpenChroot(volume, nil)
	chroot.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	report, err := gate.Drain(ctx) // may be asked again
	fmt.Println(report.Released, "released,", report.Remaining, "left,", err)
	report, err = gate.Close(ctx)
	fmt.Println(report, err)
	// Output:
	// 1 released, 0 left, <nil>
	// released 1, failed 0, abandoned 0, remaining 0, stuck 0 <nil>
}

func ExampleStats() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	volume := newVolume()
	defer os.RemoveAll(volume)

	chroot, _ := gate.OpenChroot(volume, nil)
	stats, _ := gate.Stats()
	fmt.Println(stats.Reserved, "place taken,", stats.Adds, "handed over")
	chroot.Close()
	stats, _ = gate.Stats()
	fmt.Println(stats.Adds, "handed over")
	// Output:
	// 1 place taken, 0 handed over
	// 1 handed over
}

func ExampleHistogram() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	job, _ := gate.Reserve("clean up", func(context.Context) error { return nil })
	defer job.Free()
	ticket, _ := job.Submit()
	ticket.Wait(context.Background())

	stats, _ := gate.Stats()
	took := stats.WorkDuration
	for bucket, count := range took.Buckets {
		if count > 0 {
			log.Println(count, "took up to", took.Bound(bucket))
		}
	}
	fmt.Println(took.Count, "in all")
	// Output: 1 in all
}

func ExampleError() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	volume := newVolume() // a directory, nothing is mounted there
	defer os.RemoveAll(volume)

	_, err := gate.ReserveUnmount(volume, false)
	var failed *nsgate.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Errno, failed.Status == nsgate.StatusOS)
	}
	fmt.Println(errors.Is(err, syscall.EINVAL))
	// Output:
	// invalid argument true
	// true
}

func ExampleStatus() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	volume := newVolume()
	defer os.RemoveAll(volume)
	chroot, _ := gate.OpenChroot(volume, nil)
	chroot.Release()

	_, err := chroot.Release()
	var failed *nsgate.Error
	fmt.Println(errors.As(err, &failed), failed.Status == nsgate.StatusClosed, errors.Is(err, nsgate.ErrClosed))
	// Output: true true true
}

func ExamplePanicError() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	volume := newVolume()
	defer os.RemoveAll(volume)
	chroot, _ := gate.OpenChroot(volume, nil)
	defer chroot.Close()

	err := chroot.Do(context.Background(), func() error { panic("out of paper") })
	var panicked *nsgate.PanicError
	if errors.As(err, &panicked) {
		fmt.Println(panicked.Where, panicked.Value)
	}
	// Output: job out of paper
}
