//go:build linux && cgo

package chrooted_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"

	"github.com/nsgate/nsgate/go/chrooted"
)

func ExampleChroot() {
	volume, err := os.MkdirTemp("", "volume")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(volume)

	c, err := chrooted.Chroot(context.Background(), volume, chrooted.WithMetadata("volume-id", "7"))
	if err != nil {
		log.Fatal(err)
	}
	c.MkdirAll("/etc", 0o755)
	c.Symlink("/etc", "/link") // "/" is the volume
	path, _ := c.EvalSymlinks("/link/..")
	fmt.Println(path)
	_, err = c.Open("/../../etc/passwd")
	fmt.Println(errors.Is(err, fs.ErrNotExist))

	ticket, err := c.CloseAsync()
	if err != nil {
		log.Fatal(err)
	}
	event, err := ticket.Wait(context.Background())
	fmt.Println(event.Outcome, err)
	fmt.Println(errors.Is(c.Close(), chrooted.ErrNamespaceClosed))
	// Output:
	// /
	// true
	// released <nil>
	// true
}

func ExampleIsNSorErr() {
	var missing chrooted.NSPathNotExistError
	var other chrooted.NSPathNotNSError
	fmt.Println(chrooted.IsNSorErr("/proc/self/ns/mnt"))
	fmt.Println(errors.As(chrooted.IsNSorErr("/proc/no/such"), &missing))
	fmt.Println(errors.As(chrooted.IsNSorErr("/proc/self/maps"), &other))
	// Output:
	// <nil>
	// true
	// true
}
