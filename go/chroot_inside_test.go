//go:build linux && cgo

package nsgate_test

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

func nothing() error { return nil }

func TestAChrootOfADirectoryInAChroot(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	must(t, chroot.MkdirAll("in/side", 0o755))
	must(t, chroot.WriteFile("secret", nil, 0o600))
	must(t, chroot.Symlink("/in", "link"))
	for _, when := range []string{"before the first Do", "after it"} {
		for _, name := range []string{"in", "link"} {
			inner, err := chroot.OpenRoot(name)
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			equal(t, inner.Name(), name)
			get[fs.FileInfo](t)(inner.Stat("/side"))
			failsWith(t, second(inner.Stat("../secret")), fs.ErrNotExist)
			must(t, inner.Do(limited(t), func() error {
				_, err := os.Stat("/side")
				return err
			}))
			innermost := get[*nsgate.Chroot](t)(inner.OpenRoot("side"))
			must(t, innermost.Do(limited(t), nothing))
			must(t, innermost.Close())
			must(t, inner.Close())
		}
		failsWith(t, second(chroot.OpenRoot("none")), fs.ErrNotExist)
		failsWith(t, second(chroot.OpenRoot("secret")), syscall.ENOTDIR)
		must(t, chroot.Do(limited(t), nothing))
	}
	must(t, chroot.Close())
	failsWith(t, second(chroot.OpenRoot("in")), nsgate.ErrClosed)
}

// That the volume's own path must lead through no link is said of that path.
func TestAChrootThatFollowsNoLinkOpensItsDirectories(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), &nsgate.ChrootOptions{NoFollow: true})
	must(t, chroot.Mkdir("in", 0o755))
	must(t, chroot.Symlink("in", "link"))
	for _, name := range []string{"in", "link"} {
		inner := get[*nsgate.Chroot](t)(chroot.OpenRoot(name))
		must(t, inner.Close())
	}
}

// What another customer's volume has at the paths of /proc is nothing to an OpenRoot there.
func TestAChrootOfADirectoryIsOpenedFromInsideAnother(t *testing.T) {
	gate := openGate(t)
	chroot, _ := openChroot(t, gate, nil)
	must(t, chroot.MkdirAll("in/side", 0o755))
	other, _ := openChroot(t, gate, nil)
	for fd := range 64 {
		must(t, other.MkdirAll(fmt.Sprintf("proc/thread-self/fd/%d/planted", fd), 0o755))
	}
	must(t, other.Do(limited(t), func() error {
		inner, err := chroot.OpenRoot("in")
		if err != nil {
			return err
		}
		defer inner.Close()
		_, err = inner.Stat("side")
		return err
	}))
}

func TestAChrootOfADirectoryNeedsAThreadInside(t *testing.T) {
	gate := openGate(t, nsgate.WithNamespaceThreads(1, 50*time.Millisecond))
	chroot, _ := openChroot(t, gate, nil)
	must(t, chroot.Mkdir("in", 0o755))
	must(t, chroot.Do(limited(t), func() error {
		failsWith(t, second(chroot.OpenRoot("in")), nsgate.ErrWouldDeadlock)
		return nil
	}))
}
