//go:build linux && cgo

package chrooted_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/chrooted"
)

// operations is every method that a closed chroot refuses. They take what the volume has in it.
func operations(c *chrooted.Chrooted) map[string]func() error {
	file := func(file *os.File, err error) error {
		if err == nil {
			err = file.Close()
		}
		return err
	}
	now := time.Now()
	return map[string]func() error{
		"Create":       func() error { return file(c.Create("/file")) },
		"Open":         func() error { return file(c.Open("/file")) },
		"OpenFile":     func() error { return file(c.OpenFile("/file", os.O_RDWR, 0)) },
		"Stat":         func() error { return second(c.Stat("/file")) },
		"Lstat":        func() error { return second(c.Lstat("/link")) },
		"ReadDir":      func() error { return second(c.ReadDir("/")) },
		"Rename":       func() error { return c.Rename("/file", "/file") },
		"Remove":       func() error { return file(c.TempFile("/", "x")) },
		"RemoveAll":    func() error { return c.RemoveAll("/none") },
		"Mkdir":        func() error { return ignore(c.Mkdir("/dir", 0o755), fs.ErrExist) },
		"MkdirAll":     func() error { return c.MkdirAll("/dir/a", 0o755) },
		"Symlink":      func() error { return ignore(c.Symlink("file", "/link"), fs.ErrExist) },
		"Readlink":     func() error { return second(c.Readlink("/link")) },
		"EvalSymlinks": func() error { return second(c.EvalSymlinks("/link")) },
		"Chmod":        func() error { return c.Chmod("/file", 0o600) },
		"Chown":        func() error { return c.Chown("/file", -1, -1) },
		"Lchown":       func() error { return c.Lchown("/link", -1, -1) },
		"Chtimes":      func() error { return c.Chtimes("/file", now, now) },
		"Do":           func() error { return c.Do(func() error { return nil }) },
	}
}

func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

// withFiles opens a chroot in which all operations succeed.
func withFiles(t *testing.T, options ...chrooted.Option) *chrooted.Chrooted {
	c, source := open(t, options...)
	must(t, os.WriteFile(filepath.Join(source, "file"), nil, 0o600))
	must(t, os.Symlink("file", filepath.Join(source, "link")))
	return c
}

func TestAClosedChrootRefusesEverything(t *testing.T) {
	c := withFiles(t)
	for name, operation := range operations(c) {
		if err := operation(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, c.Close())
	check := func(name string, err error) {
		if !errors.Is(err, chrooted.ErrNamespaceClosed) || !errors.Is(err, nsgate.ErrClosed) || !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, operation := range operations(c) {
		check(name, operation())
	}
	check("Close", c.Close())
	check("CloseContext", c.CloseContext(limited(t)))
	check("CloseAsync", second(c.CloseAsync()))
	var pathErr *fs.PathError
	if err := second(c.Stat("/file")); !errors.As(err, &pathErr) || pathErr.Path != "/file" || pathErr.Op != "stat" {
		t.Errorf("got %#v", err)
	}
	var linkErr *os.LinkError
	if err := c.Rename("/file", "/other"); !errors.As(err, &linkErr) || linkErr.New != "/other" {
		t.Errorf("got %#v", err)
	}
}

// TestCloseRacesWithEverything closes chroots several times at once, while every method is called all the
// time: one Close succeeds, and whatever comes after it is refused with the one error.
func TestCloseRacesWithEverything(t *testing.T) {
	for range 20 {
		c := withFiles(t)
		var all sync.WaitGroup
		var closed atomic.Bool
		for name, operation := range operations(c) {
			all.Add(1)
			go func() {
				defer all.Done()
				for {
					after := closed.Load()
					err := operation()
					if err == nil && after {
						t.Errorf("%s: nothing is wrong after Close", name)
					}
					if err != nil && !errors.Is(err, chrooted.ErrNamespaceClosed) {
						t.Errorf("%s: %v", name, err)
					}
					if err != nil {
						return
					}
				}
			}()
		}
		var succeeded atomic.Int32
		for range 4 {
			all.Add(1)
			go func() {
				defer all.Done()
				err := c.Close()
				closed.Store(true)
				if err == nil {
					succeeded.Add(1)
				} else if !errors.Is(err, chrooted.ErrNamespaceClosed) {
					t.Errorf("Close: %v", err)
				}
			}()
		}
		all.Wait()
		equal(t, succeeded.Load(), 1)
	}
}

func TestCloseWaitsUntilTheChrootIsGone(t *testing.T) {
	gate := openGate(t)
	c, _ := open(t, chrooted.WithGate(gate))
	must(t, c.Do(func() error { return nil }))
	must(t, c.Close())
	stats := get[nsgate.Stats](t)(gate.Stats())
	equal(t, stats.Released, 1)
	equal(t, stats.Reserved, 0)
}

func TestFilesStayOpenAfterClose(t *testing.T) {
	c, _ := open(t)
	file := get[*os.File](t)(c.Create("/file"))
	must(t, c.Close())
	get[int](t)(file.WriteString("still"))
	must(t, file.Close())
}

// hang has a Do hang in c until let go.
func hang(t *testing.T, c *chrooted.Chrooted) (letGo func()) {
	started, hold, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() { ended <- c.Do(func() error { close(started); <-hold; return nil }) }()
	<-started
	return func() {
		close(hold)
		must(t, <-ended)
	}
}

func TestACloseThatTakesTooLongGoesOnByItself(t *testing.T) {
	gate := openGate(t)
	c, source := open(t, chrooted.WithGate(gate), chrooted.WithCloseDeadline(20*time.Millisecond))
	letGo := hang(t, c)
	err := c.Close()
	failsWith(t, err, nsgate.ErrTimedOut)
	failsWith(t, err, os.ErrDeadlineExceeded)
	var nsgateErr *nsgate.Error
	if !errors.As(err, &nsgateErr) || nsgateErr.Message == "" {
		t.Errorf("got %#v for %s", err, source)
	}
	failsWith(t, second(c.Stat("/")), chrooted.ErrNamespaceClosed)
	failsWith(t, c.Close(), chrooted.ErrNamespaceClosed)
	letGo()
	must(t, gate.Fence(limited(t)))
	equal(t, get[nsgate.Stats](t)(gate.Stats()).Released, 1)

	c, _ = open(t, chrooted.WithGate(gate), chrooted.WithCloseDeadline(0))
	letGo = hang(t, c)
	must(t, c.Close()) // doesn't wait
	letGo()
	c, _ = open(t, chrooted.WithGate(gate))
	letGo = hang(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	failsWith(t, c.CloseContext(ctx), context.DeadlineExceeded)
	letGo()
}

func TestCloseAsyncReturnsATicket(t *testing.T) {
	c, _ := open(t)
	letGo := hang(t, c)
	ticket := get[nsgate.Ticket](t)(c.CloseAsync()) // although something is running
	failsWith(t, second(c.Stat("/")), chrooted.ErrNamespaceClosed)
	letGo()
	event := get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, event.Outcome, nsgate.OutcomeReleased)
	equal(t, event.Ticket, ticket)
}

func TestCloseFromInsideItsOwnDoDoesNotWait(t *testing.T) {
	gate := openGate(t)
	for _, closeIt := range []func(*chrooted.Chrooted) error{
		(*chrooted.Chrooted).Close,
		func(c *chrooted.Chrooted) error { return c.CloseContext(limited(t)) },
	} {
		c, _ := open(t, chrooted.WithGate(gate), chrooted.WithCloseDeadline(time.Hour))
		must(t, c.Do(func() error { return closeIt(c) }))
		failsWith(t, c.Close(), chrooted.ErrNamespaceClosed)
	}
	// Another's is waited for.
	outer, _ := open(t, chrooted.WithGate(gate))
	inner, _ := open(t, chrooted.WithGate(gate))
	must(t, outer.Do(inner.Close))
	must(t, gate.Fence(limited(t)))
	equal(t, get[nsgate.Stats](t)(gate.Stats()).Released, 3)
}

func TestTheFailureOfAReleaseIsCloses(t *testing.T) {
	c, source := open(t)
	must(t, c.Underlying().BeforeRelease(func(context.Context) error { return fs.ErrPermission }))
	err := c.Close()
	var pathErr *fs.PathError
	if !errors.As(err, &pathErr) || pathErr.Op != "close" || pathErr.Path != source {
		t.Errorf("got %#v", err)
	}
}

func TestASandboxReleasesWhatIsAttachedToIt(t *testing.T) {
	gate := openGate(t)
	m := get[*nsgate.Map[string]](t)(nsgate.NewMap[string](gate))
	defer m.Close()
	sandbox := get[*nsgate.Sandbox[string]](t)(m.Register("sandbox", "life", "value"))
	c, _ := open(t, chrooted.WithGate(gate))
	must(t, sandbox.Attach(c.Underlying()))
	get[bool](t)(sandbox.NetworkReleased(context.Background()))
	failsWith(t, second(c.Stat("/")), chrooted.ErrNamespaceClosed)
	must(t, c.Close())
	failsWith(t, c.Close(), chrooted.ErrNamespaceClosed)
	late, _ := open(t, chrooted.WithGate(gate))
	failsWith(t, sandbox.Attach(late.Underlying()), nsgate.ErrClosed)
	get[os.FileInfo](t)(late.Stat("/"))
	must(t, late.Close())
}

func TestCloseWaitsForTheReleaseOfItsSandbox(t *testing.T) {
	gate := openGate(t)
	m := get[*nsgate.Map[string]](t)(nsgate.NewMap[string](gate))
	defer m.Close()
	sandbox := get[*nsgate.Sandbox[string]](t)(m.Register("sandbox", "life", "value"))
	var chroots []*chrooted.Chrooted
	for range 2 {
		c, _ := open(t, chrooted.WithGate(gate), chrooted.WithCloseDeadline(20*time.Millisecond))
		must(t, sandbox.Attach(c.Underlying()))
		chroots = append(chroots, c)
	}
	letGo := hang(t, chroots[0])
	get[bool](t)(sandbox.NetworkReleased(context.Background()))
	failsWith(t, chroots[0].Close(), nsgate.ErrTimedOut)
	failsWith(t, chroots[0].Close(), chrooted.ErrNamespaceClosed)
	letGo()
	ticket := get[nsgate.Ticket](t)(chroots[1].CloseAsync())
	equal(t, get[nsgate.Event](t)(ticket.Wait(limited(t))).Outcome, nsgate.OutcomeReleased)
	failsWith(t, second(chroots[1].CloseAsync()), chrooted.ErrNamespaceClosed)
}

func TestCloseOfWhatIsForgottenAlready(t *testing.T) {
	gate := openGate(t, nsgate.WithCapacity(8))
	c, _ := open(t, chrooted.WithGate(gate))
	// A sandbox would do it like this.
	old := get[nsgate.Ticket](t)(c.Underlying().Release())
	get[nsgate.Event](t)(old.Wait(limited(t)))
	for range 5_000 {
		job := get[*nsgate.Job](t)(gate.Reserve("other", func(context.Context) error { return nil }))
		ticket := get[nsgate.Ticket](t)(job.Submit())
		get[nsgate.Event](t)(ticket.Wait(limited(t)))
		job.Free()
	}
	failsWith(t, second(old.Wait(limited(t))), nsgate.ErrNotFound)
	must(t, c.Close())
	failsWith(t, c.Close(), chrooted.ErrNamespaceClosed)
}

func TestEachReleaseIsTheCloseOfOne(t *testing.T) {
	gate := openGate(t, nsgate.WithWorkers(1, 1))
	c, _ := open(t, chrooted.WithGate(gate))
	started, busy := make(chan struct{}), make(chan struct{})
	job := get[*nsgate.Job](t)(gate.Reserve("busy", func(context.Context) error { close(started); <-busy; return nil }))
	get[nsgate.Ticket](t)(job.Submit())
	<-started
	must(t, c.Underlying().BeforeRelease(func(context.Context) error { return nil })) // waits behind the job
	ticket := get[nsgate.Ticket](t)(c.CloseAsync())
	must(t, ticket.Cancel())
	must(t, c.Mkdir("/open-again", 0o755))
	again := get[nsgate.Ticket](t)(c.CloseAsync())
	failsWith(t, second(c.CloseAsync()), chrooted.ErrNamespaceClosed)
	close(busy)
	equal(t, get[nsgate.Event](t)(again.Wait(limited(t))).Outcome, nsgate.OutcomeReleased)
}

func TestAForgottenChrootIsReleased(t *testing.T) {
	gate := openGate(t, nsgate.WithLogger(slog.New(slog.DiscardHandler)))
	source := t.TempDir()
	func() {
		c := get[*chrooted.Chrooted](t)(chrooted.Chroot(context.Background(), source, chrooted.WithGate(gate)))
		must(t, c.Do(func() error { return nil }))
	}()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		runtime.GC()
		stats := get[nsgate.Stats](t)(gate.Stats())
		if stats.Forgotten == 1 && stats.Released == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", stats)
		}
	}
}

func TestTheDefaultGateComesBack(t *testing.T) {
	before := get[*nsgate.Gate](t)(chrooted.DefaultGate())
	equal(t, get[*nsgate.Gate](t)(chrooted.DefaultGate()), before)
	report := get[nsgate.Report](t)(chrooted.CloseDefaultGate(limited(t)))
	equal(t, report.Abandoned, 0)
	equal(t, get[nsgate.Report](t)(chrooted.CloseDefaultGate(limited(t))), nsgate.Report{})
	failsWith(t, second(before.Stats()), nsgate.ErrClosed)
	c, _ := open(t)
	must(t, c.Close())
	// It can't be closed from inside, and stays.
	c, _ = open(t)
	must(t, c.Do(func() error {
		failsWith(t, second(chrooted.CloseDefaultGate(context.Background())), nsgate.ErrWouldDeadlock)
		return nil
	}))
	must(t, c.Close())
}
