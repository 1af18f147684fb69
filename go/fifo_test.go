//go:build linux && cgo

package nsgate_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// openWriter opens a FIFO for writing at once.
func openWriter(t *testing.T, fifo string) *os.File {
	t.Helper()
	writer := get[*os.File](t)(os.OpenFile(fifo, os.O_RDWR|syscall.O_NONBLOCK, 0))
	t.Cleanup(func() { writer.Close() })
	return writer
}

func TestAReadOfAFifoEndsByDeadlineAndByClose(t *testing.T) {
	chroot, volume := openChroot(t, openGate(t), nil)
	fifo := filepath.Join(volume, "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	openWriter(t, fifo)
	for _, flag := range []int{os.O_RDONLY, os.O_RDWR, os.O_RDONLY | syscall.O_NONBLOCK} {
		file := get[*os.File](t)(chroot.OpenFile("fifo", flag, 0))
		must(t, file.SetReadDeadline(time.Now().Add(time.Millisecond)))
		failsWith(t, second(file.Read(make([]byte, 1))), os.ErrDeadlineExceeded)
		must(t, file.SetReadDeadline(time.Time{}))

		ended := make(chan error, 1)
		go func() {
			_, err := file.Read(make([]byte, 1))
			ended <- err
		}()
		time.Sleep(10 * time.Millisecond) // it waits by then, mostly; closed before, it says the same
		must(t, file.Close())
		select {
		case err := <-ended:
			failsWith(t, err, os.ErrClosed)
		case <-time.After(patience):
			t.Fatal("the Read doesn't end")
		}
	}
}

// TestOnlyWhatWaitsIsNonBlocking: whoever takes the descriptor of a file gets what open(2) gives.
func TestOnlyWhatWaitsIsNonBlocking(t *testing.T) {
	chroot, volume := openChroot(t, openGate(t), nil)
	must(t, chroot.WriteFile("file", []byte("text"), 0o600))
	must(t, syscall.Mkfifo(filepath.Join(volume, "fifo"), 0o600))
	const path = 0o10000000 // O_PATH
	for _, opened := range []struct {
		name     string
		flag     int
		nonBlock bool
	}{
		{"file", os.O_RDWR, false},
		{"file", os.O_RDWR | syscall.O_NONBLOCK, true},
		{"new", os.O_RDWR | os.O_CREATE | os.O_EXCL, false},
		{".", os.O_RDONLY, false},
		{".", os.O_RDONLY | syscall.O_DIRECTORY, false},
		{"fifo", os.O_RDWR, true},
		{"fifo", path, false},
	} {
		file := get[*os.File](t)(chroot.OpenFile(opened.name, opened.flag, 0o600))
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, file.Fd(), syscall.F_GETFL, 0)
		if errno != 0 || flags&syscall.O_NONBLOCK != 0 != opened.nonBlock {
			t.Errorf("%s with %#x: flags %#x, %v", opened.name, opened.flag, flags, errno)
		}
		must(t, file.Close())
	}
}

// TestReadersOfAFifoHoldNoThread, nor a place, which is for the open alone.
func TestReadersOfAFifoHoldNoThread(t *testing.T) {
	if !isChild() {
		runInChild(t, 1)
		return
	}
	debug.SetMaxThreads(64)
	const readers = 200
	gate := openGate(t, nsgate.WithFileOperations(16, 16, patience))
	chroot, volume := openChroot(t, gate, nil)
	fifo := filepath.Join(volume, "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	writer := openWriter(t, fifo)
	before := countDescriptors(t)
	results := make(chan error, readers)
	for range readers {
		go func() {
			text, err := chroot.ReadFile("fifo")
			if len(text) != 0 {
				err = errors.New("read " + string(text))
			}
			results <- err
		}()
	}
	eventually(t, "all have opened it", func() string {
		if now := countDescriptors(t); now < before+readers {
			return "not yet"
		}
		return ""
	})
	eventually(t, "they need no place", func() string {
		if gate.UnderWay() != 0 {
			return "not yet"
		}
		return ""
	})
	must(t, writer.Close())
	for range readers {
		must(t, <-results)
	}
}
