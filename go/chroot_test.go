//go:build linux && cgo

package nsgate_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

func TestAChrootHasTheMethodsOfAnOsRoot(t *testing.T) {
	root, chroot := reflect.TypeFor[*os.Root](), reflect.TypeFor[*nsgate.Chroot]()
	for i := range root.NumMethod() {
		want := root.Method(i)
		got, ok := chroot.MethodByName(want.Name)
		if !ok {
			t.Errorf("no method %s", want.Name)
			continue
		}
		if a, b := signature(got.Type), signature(want.Type); a != b {
			t.Errorf("%s is %s, want %s", want.Name, a, b)
		}
	}
}

// signature is a method's type without its receiver, where a root is a root.
func signature(method reflect.Type) string {
	var s strings.Builder
	for i := 1; i < method.NumIn(); i++ {
		s.WriteString(method.In(i).String() + ", ")
	}
	s.WriteString("->")
	for i := range method.NumOut() {
		s.WriteString(" " + method.Out(i).String())
	}
	return strings.NewReplacer("*os.Root", "root", "*nsgate.Chroot", "root").Replace(s.String())
}

func TestFilesAreMadeReadAndRemoved(t *testing.T) {
	chroot, volume := openChroot(t, openGate(t), nil)
	must(t, chroot.MkdirAll("a/b/c", 0o755))
	must(t, chroot.MkdirAll("/a/b/c", 0o755))
	must(t, chroot.WriteFile("a/b/file", []byte("content"), 0o600))
	equal(t, string(get[[]byte](t)(chroot.ReadFile("/a/b/file"))), "content")
	equal(t, string(get[[]byte](t)(os.ReadFile(filepath.Join(volume, "a/b/file")))), "content")

	must(t, chroot.Rename("a/b/file", "a/moved"))
	must(t, chroot.Link("a/moved", "a/linked"))
	must(t, chroot.Symlink("/a/moved", "a/link"))
	equal(t, get[string](t)(chroot.Readlink("a/link")), "/a/moved")
	equal(t, get[string](t)(chroot.EvalSymlinks("a/link")), "/a/moved")
	equal(t, string(get[[]byte](t)(chroot.ReadFile("a/link"))), "content") // absolute: from the chroot's root
	moved, linked := get[fs.FileInfo](t)(chroot.Stat("a/link")), get[fs.FileInfo](t)(chroot.Lstat("a/linked"))
	if !nsgate.SameFile(moved, linked) {
		t.Error("two names of one file are not the same")
	}
	if nsgate.SameFile(moved, get[fs.FileInfo](t)(chroot.Lstat("a/link"))) {
		t.Error("a link is the same as what it leads to")
	}

	must(t, chroot.Truncate("a/moved", 3))
	equal(t, get[fs.FileInfo](t)(chroot.Stat("a/moved")).Size(), 3)
	failsWith(t, chroot.RenameNoReplace("a/moved", "a/linked"), fs.ErrExist)
	must(t, chroot.Exchange("a/b", "a/moved"))
	equal(t, get[fs.FileInfo](t)(chroot.Stat("a/moved")).IsDir(), true)

	failsWith(t, chroot.Remove("a"), syscall.ENOTEMPTY)
	must(t, chroot.Remove("a/link"))
	must(t, chroot.RemoveAll("a"))
	must(t, chroot.RemoveAll("a"))
	_, err := chroot.Stat("a")
	failsWith(t, err, fs.ErrNotExist)
}

func TestOpenFileTakesTheFlagsOfOpen(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	file := get[*os.File](t)(chroot.OpenFile("new", os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o640))
	equal(t, file.Name(), "new")
	get[int](t)(file.WriteString("one"))
	must(t, file.Close())
	_, err := chroot.OpenFile("new", os.O_CREATE|os.O_EXCL, 0o600)
	failsWith(t, err, fs.ErrExist)
	_, err = chroot.OpenFile("new", syscall.O_DIRECTORY, 0)
	failsWith(t, err, syscall.ENOTDIR)

	must(t, chroot.Mkdir("tmp", 0o700))
	for _, dir := range []string{"", "/tmp", "tmp/"} {
		temp := get[*os.File](t)(chroot.CreateTemp(dir, "pre-*.suf"))
		base := filepath.Base(temp.Name())
		if !strings.HasPrefix(base, "pre-") || !strings.HasSuffix(base, ".suf") {
			t.Errorf("temporary file %q", temp.Name())
		}
		must(t, temp.Close())
		must(t, chroot.Remove(temp.Name()))
	}
	temp := get[*os.File](t)(chroot.TempFile("/tmp", "pre"))
	must(t, temp.Close())
	equal(t, get[fs.FileInfo](t)(chroot.Stat(temp.Name())).Mode(), 0o600)
	_, err = chroot.CreateTemp("/tmp", "a/b")
	if err == nil {
		t.Error("a pattern with a slash was taken")
	}
}

func TestNothingLeadsOut(t *testing.T) {
	chroot, volume := openChroot(t, openGate(t), nil)
	outside := filepath.Join(filepath.Dir(volume), "outside")
	must(t, os.WriteFile(outside, []byte("secret"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(volume, "absolute")))
	must(t, os.Symlink("../outside", filepath.Join(volume, "relative")))
	for _, name := range []string{"../outside", "/../outside", "absolute", "relative", outside, "../../../../../../etc/passwd"} {
		if _, err := chroot.ReadFile(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	equal(t, get[string](t)(chroot.EvalSymlinks("..")), "/")
}

func TestModesConvertExactly(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	chroot, volume := openChroot(t, openGate(t), nil)
	must(t, chroot.Mkdir("dir", 0o777|fs.ModeSticky))
	equal(t, get[fs.FileInfo](t)(chroot.Stat("dir")).Mode(), fs.ModeDir|fs.ModeSticky|0o777)
	must(t, chroot.WriteFile("file", nil, 0o751))
	for _, mode := range []fs.FileMode{
		0, 0o777, 0o640 | fs.ModeSetuid, 0o711 | fs.ModeSetgid, fs.ModeSticky | fs.ModeSetuid | fs.ModeSetgid | 0o4,
	} {
		must(t, chroot.Chmod("file", mode))
		ours := get[fs.FileInfo](t)(chroot.Stat("file"))
		theirs := get[fs.FileInfo](t)(os.Stat(filepath.Join(volume, "file")))
		equal(t, ours.Mode(), mode)
		equal(t, ours.Mode(), theirs.Mode())
		equal(t, *ours.Sys().(*syscall.Stat_t), *theirs.Sys().(*syscall.Stat_t))
	}
	must(t, syscall.Mkfifo(filepath.Join(volume, "fifo"), 0o600))
	equal(t, get[fs.FileInfo](t)(chroot.Stat("fifo")).Mode(), fs.ModeNamedPipe|0o600)
	must(t, chroot.Symlink("nowhere", "link"))
	equal(t, get[fs.FileInfo](t)(chroot.Lstat("link")).Mode().Type(), fs.ModeSymlink)
}

func TestTimesConvertExactly(t *testing.T) {
	chroot, volume := openChroot(t, openGate(t), nil)
	must(t, chroot.WriteFile("file", nil, 0o600))
	must(t, chroot.Symlink("file", "link"))
	old := time.Date(1931, 5, 4, 3, 2, 1, 123456789, time.UTC)
	recent := time.Unix(1_700_000_000, 1)
	must(t, chroot.Chtimes("link", recent, old))
	info := get[fs.FileInfo](t)(chroot.Stat("file"))
	if !info.ModTime().Equal(old) {
		t.Errorf("modified %v, want %v", info.ModTime(), old)
	}
	if theirs := get[fs.FileInfo](t)(os.Stat(filepath.Join(volume, "file"))); !theirs.ModTime().Equal(old) {
		t.Errorf("modified %v, want %v", theirs.ModTime(), old)
	}
	must(t, chroot.Chtimes("file", time.Time{}, recent)) // leaves the access time
	stat := get[fs.FileInfo](t)(chroot.Stat("file")).Sys().(*syscall.Stat_t)
	equal(t, stat.Atim.Nano(), recent.UnixNano())
	equal(t, stat.Mtim.Nano(), recent.UnixNano())
	must(t, chroot.Lchtimes("link", old, old))
	if !get[fs.FileInfo](t)(chroot.Lstat("link")).ModTime().Equal(old) {
		t.Error("the time of a link was not set")
	}
	if !get[fs.FileInfo](t)(chroot.Stat("file")).ModTime().Equal(recent) {
		t.Error("the link was followed")
	}
}

func TestErrorsHaveTheShapeOfPackageOs(t *testing.T) {
	chroot, _ := openChroot(t, openGate(t), nil)
	var pathErr *fs.PathError
	for op, err := range map[string]error{
		"open":    second(chroot.Open("none")),
		"stat":    second(chroot.Stat("none")),
		"lstat":   second(chroot.Lstat("none")),
		"remove":  chroot.Remove("none"),
		"chmod":   chroot.Chmod("none", 0o600),
		"chtimes": chroot.Chtimes("none", time.Now(), time.Now()),
	} {
		failsWith(t, err, fs.ErrNotExist)
		if !errors.As(err, &pathErr) || pathErr.Op != op || pathErr.Path != "none" || pathErr.Err != syscall.ENOENT {
			t.Errorf("%s: %#v", op, err)
		}
	}
	var linkErr *os.LinkError
	err := chroot.Rename("none", "other")
	if !errors.As(err, &linkErr) || linkErr.Old != "none" || linkErr.New != "other" || linkErr.Err != syscall.ENOENT {
		t.Errorf("%#v", err)
	}
	failsWith(t, second(chroot.Stat("a\x00b")), syscall.EINVAL)
	failsWith(t, second(chroot.Stat("")), syscall.ENOENT)
	failsWith(t, second(chroot.Stat(strings.Repeat("n", 256))), syscall.ENAMETOOLONG)
}

func second[T any](_ T, err error) error { return err }

func TestOptionsRestrict(t *testing.T) {
	gate := openGate(t)
	readOnly, _ := openChroot(t, gate, &nsgate.ChrootOptions{ReadOnly: true})
	failsWith(t, readOnly.Mkdir("dir", 0o755), syscall.EROFS)
	noLinks, volume := openChroot(t, gate, &nsgate.ChrootOptions{NoSymFollow: true})
	must(t, noLinks.Symlink("/", "link"))
	failsWith(t, second(noLinks.Stat("link/x")), syscall.ELOOP)

	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(volume, link))
	_, err := gate.OpenChroot(link, &nsgate.ChrootOptions{NoFollow: true})
	if err == nil {
		t.Error("a link was followed")
	}
	through := get[*nsgate.Chroot](t)(gate.OpenChroot(link, nil))
	equal(t, through.Name(), link)
	must(t, through.Close())
	_, err = gate.OpenChroot(filepath.Join(volume, "none"), nil)
	failsWith(t, err, fs.ErrNotExist)
	must(t, os.WriteFile(filepath.Join(volume, "file"), nil, 0o600))
	_, err = gate.OpenChroot(filepath.Join(volume, "file"), nil)
	failsWith(t, err, syscall.ENOTDIR)
}

func TestAClosedChrootRefusesEverything(t *testing.T) {
	gate := openGate(t)
	chroot, _ := openChroot(t, gate, nil)
	file := get[*os.File](t)(chroot.Create("file"))
	ticket := get[nsgate.Ticket](t)(chroot.Release())
	equal(t, chroot.IsClosed(), true)
	for _, err := range []error{
		second(chroot.Stat("file")), chroot.Mkdir("dir", 0o755), chroot.Close(), second(chroot.ReadDir("/")),
		chroot.Do(limited(t), func() error { return nil }), second(chroot.NamespaceID()),
	} {
		failsWith(t, err, nsgate.ErrClosed)
		failsWith(t, err, fs.ErrClosed)
	}
	get[int](t)(file.WriteString("still open")) // what was opened stays usable
	event := get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, event.Outcome, nsgate.OutcomeReleased)
	must(t, file.Close())
}

func TestAVolumeIsNotTouchedByItsChroot(t *testing.T) {
	gate := openGate(t)
	volume := t.TempDir()
	must(t, os.WriteFile(filepath.Join(volume, "file"), nil, 0o600))
	past := time.Unix(1_600_000_000, 0)
	must(t, os.Chtimes(volume, past, past))
	chroot := get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil))
	must(t, chroot.Do(limited(t), func() error { return nil }))
	ticket := get[nsgate.Ticket](t)(chroot.Release())
	get[nsgate.Event](t)(ticket.Wait(limited(t)))
	equal(t, get[fs.FileInfo](t)(os.Stat(volume)).ModTime().Equal(past), true)
	equal(t, len(get[[]os.DirEntry](t)(os.ReadDir(volume))), 1)
}

func TestTwoThousandChrootsTakeNoThread(t *testing.T) {
	gate := openGate(t)
	volume := t.TempDir()
	threads := func() (ours int) {
		for _, task := range get[[]os.DirEntry](t)(os.ReadDir("/proc/self/task")) {
			name, _ := os.ReadFile(filepath.Join("/proc/self/task", task.Name(), "comm"))
			if strings.HasPrefix(string(name), "nsgate-") {
				ours++
			}
		}
		return ours
	}
	chroots := make([]*nsgate.Chroot, 2000)
	for i := range chroots {
		chroots[i] = get[*nsgate.Chroot](t)(gate.OpenChroot(volume, nil))
		must(t, chroots[i].MkdirAll("dir", 0o755))
	}
	if n := threads(); n > 10 {
		t.Errorf("%d threads of the library", n)
	}
	for _, chroot := range chroots {
		must(t, chroot.Close())
	}
	must(t, gate.Fence(limited(t)))
}
