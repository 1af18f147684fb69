//go:build linux && cgo

package nsgate_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// TestHungWorkDoesNotExhaustThreads runs in a process of its own: Go ends it when it has too many threads.
func TestHungWorkDoesNotExhaustThreads(t *testing.T) {
	const inChild = "NSGATE_TEST_FEW_THREADS"
	if os.Getenv(inChild) != "" {
		debug.SetMaxThreads(64)
		t.Run("operations", hangOperations)
		t.Run("jobs", hangJobs)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	child := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^TestHungWorkDoesNotExhaustThreads$", "-test.v")
	child.Env = append(os.Environ(), inChild+"=1")
	if said, err := child.CombinedOutput(); err != nil || strings.Count(string(said), "--- PASS") != 3 {
		t.Errorf("%v\n%s", err, said)
	}
}

// manyChroots are open while something hangs.
func manyChroots(t *testing.T, gate *nsgate.Gate) []*nsgate.Chroot {
	volume := t.TempDir()
	chroots := make([]*nsgate.Chroot, 5_000)
	for i := range chroots {
		chroots[i] = get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil))
	}
	t.Cleanup(func() {
		for i, chroot := range chroots {
			must(t, chroot.Close())
			chroots[i] = nil
		}
	})
	return chroots
}

func hangOperations(t *testing.T) {
	const inAll, perChroot, tried = 32, 8, 50
	gate := openGate(t, nsgate.WithFileOperations(inAll, perChroot, 0))
	chroots := manyChroots(t, gate)

	// Four chroots, in each of which fifty operations would hang.
	type result struct {
		file *os.File
		err  error
	}
	results := make(chan result, inAll/perChroot*tried)
	var fifos []string
	for range inAll / perChroot {
		chroot, volume := openChroot(t, gate, nil)
		fifo := filepath.Join(volume, "fifo")
		must(t, syscall.Mkfifo(fifo, 0o600))
		fifos = append(fifos, fifo)
		for range tried {
			go func() {
				file, err := chroot.Open("fifo")
				results <- result{file, err}
			}()
		}
		for range tried - perChroot {
			refused := <-results
			failsWith(t, refused.err, nsgate.ErrFull)
			var pathErr *fs.PathError
			if !errors.As(refused.err, &pathErr) || pathErr.Path != "fifo" {
				t.Errorf("got %#v", refused.err)
			}
			if len(fifos) < inAll/perChroot && !strings.Contains(refused.err.Error(), "8 file operations of the chroot") {
				t.Errorf("the error doesn't say why: %v", refused.err)
			}
		}
		if len(fifos) < inAll/perChroot { // one that hangs is nothing to the others
			get[fs.FileInfo](t)(chroots[0].Stat("/"))
		}
	}
	_, err := chroots[0].Stat("/")
	failsWith(t, err, nsgate.ErrFull)
	if err == nil || !strings.Contains(err.Error(), "32 file operations of the gate") {
		t.Errorf("the error doesn't say why: %v", err)
	}
	failsWith(t, second(gate.OpenChroot(t.TempDir(), nil)), nsgate.ErrFull)
	must(t, chroots[1].Do(limited(t), func() error { return nil })) // on no thread of Go

	for _, fifo := range fifos {
		writer := get[*os.File](t)(os.OpenFile(fifo, os.O_RDWR|syscall.O_NONBLOCK, 0))
		defer writer.Close()
	}
	for range inAll {
		opened := <-results
		must(t, opened.err)
		must(t, opened.file.Close())
	}
	for _, chroot := range chroots {
		get[fs.FileInfo](t)(chroot.Stat("/"))
	}
}

func hangJobs(t *testing.T) {
	const running, tried = 16, 200
	gate := openGate(t, nsgate.WithNamespaceThreads(running, 50*time.Millisecond))
	chroots := manyChroots(t, gate)
	started, hold := make(chan struct{}, tried), make(chan struct{})
	var all group
	for i := range tried {
		all.Go(func() {
			err := chroots[i].Do(context.Background(), func() error {
				started <- struct{}{}
				<-hold
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	for range running {
		<-started
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := chroots[tried].Do(ctx, func() error { return fmt.Errorf("it ran") })
	failsWith(t, err, context.DeadlineExceeded)
	get[fs.FileInfo](t)(chroots[0].Stat("/"))
	close(hold)
	all.Wait()
	equal(t, len(started), tried-running)
}
