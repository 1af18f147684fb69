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

// inChild is set in a process that a test started for itself.
const inChild = "NSGATE_TEST_IN_CHILD"

func isChild() bool { return os.Getenv(inChild) != "" }

// runInChild runs the calling test in a process of its own, where so many tests pass, it included.
func runInChild(t *testing.T, tests int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	child := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), inChild+"=1")
	if said, err := child.CombinedOutput(); err != nil || strings.Count(string(said), "--- PASS") != tests {
		t.Errorf("%v\n%s", err, said)
	}
}

// TestHungWorkDoesNotExhaustThreads runs in a process of its own: Go ends it when it has too many threads.
func TestHungWorkDoesNotExhaustThreads(t *testing.T) {
	if !isChild() {
		runInChild(t, 3)
		return
	}
	debug.SetMaxThreads(64)
	t.Run("operations", hangOperations)
	t.Run("jobs", hangJobs)
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

// result is what an open(2) of a FIFO answered.
type result struct {
	file *os.File
	err  error
}

// makeFIFO makes one that nobody writes to, and returns what lets those go who open it.
func makeFIFO(t *testing.T, volume string) (let func()) {
	fifo := filepath.Join(volume, "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	return func() {
		writer := get[*os.File](t)(os.OpenFile(fifo, os.O_RDWR|syscall.O_NONBLOCK, 0))
		t.Cleanup(func() { writer.Close() })
	}
}

// hang opens it, and returns when that hangs, or false when it was refused.
func hang(t *testing.T, gate *nsgate.Gate, chroot *nsgate.Chroot, results chan result) bool {
	before, refused := gate.UnderWay(), len(results)
	go func() {
		file, err := chroot.Open("fifo")
		results <- result{file, err}
	}()
	eventually(t, "it hangs or is refused", func() string {
		if gate.UnderWay() == before && len(results) == refused {
			return "not yet"
		}
		return ""
	})
	return gate.UnderWay() > before
}

func refusedAsFull(t *testing.T, err error, says string) {
	t.Helper()
	failsWith(t, err, nsgate.ErrFull)
	var pathErr *fs.PathError
	if !errors.As(err, &pathErr) || !strings.Contains(err.Error(), says) {
		t.Errorf("got %#v: %v", err, err)
	}
}

func hangOperations(t *testing.T) {
	const inAll, perChroot = 32, 8
	gate := openGate(t, nsgate.WithFileOperations(inAll, perChroot, 0))
	chroots := manyChroots(t, gate)

	// In one chroot after the other as many hang as may.
	results := make(chan result, 100)
	var lets []func()
	for gate.UnderWay() < inAll {
		get[fs.FileInfo](t)(chroots[0].Stat("/")) // there is room for whoever doesn't
		chroot, volume := openChroot(t, gate, nil)
		lets = append(lets, makeFIFO(t, volume))
		for hang(t, gate, chroot, results) {
		}
		refusedAsFull(t, (<-results).err, "file operations of the chroot are under way")
	}
	if len(lets) < 6 {
		t.Errorf("%d chroots took all places", len(lets))
	}
	refusedAsFull(t, second(chroots[0].Stat("/")), "32 in the gate")
	refusedAsFull(t, second(gate.OpenChroot(t.TempDir(), nil)), "0 file operations that open chroots")
	must(t, chroots[1].Do(limited(t), func() error { return nil })) // on no thread of Go

	for _, let := range lets {
		let()
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

// TestThousandsThatHangDelayNobody has a process of its own for its threads, which Go keeps.
func TestThousandsThatHangDelayNobody(t *testing.T) {
	if !isChild() {
		runInChild(t, 1)
		return
	}
	const hung, most = 2_000, 2_048
	gate := openGate(t)
	chroot, volume := openChroot(t, gate, nil)
	other, _ := openChroot(t, gate, nil)
	results := make(chan result, most)
	let := makeFIFO(t, volume)
	for range hung {
		go func() {
			file, err := chroot.Open("fifo")
			results <- result{file, err}
		}()
	}
	eventually(t, "all are under way", func() string {
		if n := gate.UnderWay(); n < hung {
			return fmt.Sprintf("%d are", n)
		}
		return ""
	})

	worked := make(chan struct{})
	go func() {
		defer close(worked)
		var all group
		for worker := range 32 {
			for name, chroot := range map[string]*nsgate.Chroot{"the same": chroot, "another": other} {
				all.Go(func() {
					if err := work(chroot, fmt.Sprint("worker", worker)); err != nil {
						t.Errorf("in %s chroot: %v", name, err)
					}
				})
			}
		}
		all.Wait()
	}()
	select {
	case <-worked:
	case <-time.After(patience):
		t.Fatal("the others hang, too")
	}
	if len(results) != 0 {
		t.Fatalf("%d didn't hang", len(results))
	}

	// There is an end to it, for this chroot alone.
	for hang(t, gate, chroot, results) {
	}
	refusedAsFull(t, (<-results).err, "2048 file operations of the chroot")
	equal(t, gate.UnderWay(), most)
	must(t, work(other, "still"))
	third, _ := openChroot(t, gate, nil)
	must(t, work(third, "still"))

	let()
	for range most {
		opened := <-results
		must(t, opened.err)
		must(t, opened.file.Close())
	}
	must(t, work(chroot, "again"))
}

// work makes a directory with files in it, looks at them and removes them.
func work(chroot *nsgate.Chroot, directory string) error {
	for range 10 {
		if err := chroot.Mkdir(directory, 0o755); err != nil {
			return err
		}
		file := directory + "/file"
		if err := chroot.WriteFile(file, []byte("text"), 0o600); err != nil {
			return err
		}
		if text, err := chroot.ReadFile(file); err != nil || string(text) != "text" {
			return fmt.Errorf("read %q: %w", text, err)
		}
		if info, err := chroot.Stat(file); err != nil || info.Size() != 4 {
			return fmt.Errorf("stat: %v, %w", info, err)
		}
		if entries, err := chroot.ReadDir(directory); err != nil || len(entries) != 1 {
			return fmt.Errorf("listed %v: %w", entries, err)
		}
		if err := chroot.RemoveAll(directory); err != nil {
			return err
		}
	}
	return nil
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
