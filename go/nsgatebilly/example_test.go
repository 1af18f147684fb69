//go:build linux && cgo

package nsgatebilly_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/go-git/go-billy/v5/util"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/nsgatebilly"
)

func ExampleFS() {
	gate, err := nsgate.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer gate.Close(context.Background())
	volume, _ := os.MkdirTemp("", "volume")
	defer os.RemoveAll(volume)
	chroot, err := gate.OpenChroot(volume, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer chroot.Close()

	fs := nsgatebilly.New(chroot) // for an NFS server, or go-git
	util.WriteFile(fs, "etc/hostname", []byte("sandbox\n"), 0o644)
	fs.Symlink("/etc/hostname", "name") // "/" is the volume
	text, err := util.ReadFile(fs, "name")
	fmt.Print(string(text), err)
	// Output:
	// sandbox
	// <nil>
}
