//go:build linux && cgo

package nsgate_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"

	nsgate "github.com/nsgate/nsgate/go"
)

// TestAKilledProcessLeavesNothing kills processes at random moments under load. Neither a mount nor a
// directory is left of them, nor a namespace: that would keep the volume's file system alive.
func TestAKilledProcessLeavesNothing(t *testing.T) {
	const inChild = "NSGATE_TEST_LOADED_VOLUME"
	if volume := os.Getenv(inChild); volume != "" {
		time.AfterFunc(4*patience, func() { os.Exit(3) }) // nobody kills it any more
		load(t, volume)
		return
	}
	kills := 10
	switch {
	case testing.Short():
		kills = 3
	case long:
		kills = 200
	}
	random := newRandom(t)
	volume := t.TempDir()
	must(t, syscall.Mount("volume", volume, "tmpfs", 0, ""))
	must(t, os.WriteFile(filepath.Join(volume, "marker"), []byte("inside"), 0o600))
	host := func() string { return mounts(t) + contents(t, volume) }
	before := host()
	for range kills {
		child := exec.Command("/proc/self/exe", "-test.run=^TestAKilledProcessLeavesNothing$")
		child.Env = append(os.Environ(), inChild+"="+volume)
		said := get[io.ReadCloser](t)(child.StdoutPipe())
		must(t, child.Start())
		line, err := bufio.NewReader(said).ReadString('\n')
		if line != "under way\n" {
			t.Errorf("the load ended early: %q, %v", line, err)
		}
		time.Sleep(time.Duration(random.IntN(20_000)) * time.Microsecond)
		must(t, child.Process.Kill())
		var ended *exec.ExitError
		if err := child.Wait(); !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("the load ended with %v", err)
		}
		if after := host(); after != before {
			t.Fatalf("before:\n%s\nafter:\n%s", before, after)
		}
	}
	checkLastMount(t, volume)
}

// load does everything at once, for ever, and says when that is under way.
func load(t *testing.T, volume string) {
	const workers, hanging, queued = 4, 3, 50
	ctx := context.Background()
	gate := get[*nsgate.Gate](t)(nsgate.Open(nsgate.WithWorkers(1, 1)))
	m := get[*nsgate.Map[*box]](t)(nsgate.NewMap[*box](gate))
	open := func() *nsgate.Chroot { return get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil)) }
	read := func() error { return second(os.ReadFile("/marker")) }
	inside := make(chan struct{})
	for range hanging {
		go open().Do(ctx, func() error { inside <- struct{}{}; select {} })
		<-inside
	}
	for range queued {
		chroot := open()
		must(t, chroot.Do(ctx, read))
		must(t, chroot.BeforeRelease(func(context.Context) error { select {} }))
		must(t, chroot.Close())
	}
	done := make(chan struct{})
	for worker := range workers {
		go func() {
			for round := 0; ; round++ {
				s := register(t, m, fmt.Sprint(worker), fmt.Sprint(worker, round))
				for range 5 {
					chroot := open()
					must(t, second(chroot.Stat("marker")))
					must(t, chroot.Do(ctx, read))
					must(t, s.Attach(chroot))
				}
				must(t, second(s.NetworkReleased(ctx)))
				must(t, second(s.MarkStopped(ctx)))
				must(t, open().Close())
				if round == 0 {
					done <- struct{}{}
				}
			}
		}()
	}
	for range workers {
		<-done
	}
	fmt.Println("under way")
	select {}
}

func mounts(t *testing.T) string {
	t.Helper()
	return string(get[[]byte](t)(os.ReadFile("/proc/thread-self/mountinfo")))
}

// checkLastMount checks that no mount of a volume's file system is left but that at volume, in whatever
// namespace: once that is unmounted the file system ends, and a watch of it says so.
func checkLastMount(t *testing.T, volume string) {
	t.Helper()
	gate := openGate(t)
	chroot := get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil))
	fd := get[int](t)(syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC))
	watch := os.NewFile(uintptr(fd), "inotify")
	defer watch.Close()
	must(t, second(syscall.InotifyAddWatch(fd, volume, syscall.IN_DELETE_SELF)))
	must(t, syscall.Unmount(volume, 0))
	var buffer [256]byte
	if n, err := syscall.Read(fd, buffer[:]); err != syscall.EAGAIN {
		t.Errorf("told %d bytes, %v while a chroot is open", n, err)
	}
	must(t, chroot.Close())
	must(t, watch.SetReadDeadline(time.Now().Add(patience)))
	n, err := watch.Read(buffer[:])
	if err != nil || n < syscall.SizeofInotifyEvent {
		t.Fatalf("the file system of the volume lives on: %d bytes, %v", n, err)
	}
	if mask := (*syscall.InotifyEvent)(unsafe.Pointer(&buffer)).Mask; mask&syscall.IN_UNMOUNT == 0 {
		t.Errorf("the watch tells %#x", mask)
	}
}
