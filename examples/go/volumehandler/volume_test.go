//go:build linux && cgo

package volumehandler

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	nfsc "github.com/willscott/go-nfs-client/nfs"
	"github.com/willscott/go-nfs-client/nfs/rpc"
)

func TestAClientReadsAndWritesItsVolume(t *testing.T) {
	h := newHost(t, Options{})
	h.run("life", "10.0.0.1", "data")
	target, _ := mounted(t, h.listen("10.0.0.1"), "/data")

	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	_, err := target.Mkdir("/dir", 0o755)
	must(t, err)
	file, err := target.OpenFile("/dir/file", 0o644)
	must(t, err)
	_, err = file.Write(content)
	must(t, err)
	must(t, file.Close())
	onDisk, err := os.ReadFile(filepath.Join(h.volume("data"), "dir/file"))
	must(t, err)
	equal(t, bytes.Equal(onDisk, content), true)
	file, err = target.Open("/dir/file")
	must(t, err)
	read, err := io.ReadAll(file)
	must(t, err)
	equal(t, bytes.Equal(read, content), true)
	must(t, target.Setattr("/dir/file", nfsc.Sattr3{Size: nfsc.SetSize{SetIt: true, Size: 3}}))
	must(t, target.Rename("/dir/file", "/dir/other"))
	entries, err := target.ReadDirPlus("/dir")
	must(t, err)
	equal(t, len(entries), 1)
	equal(t, entries[0].Size(), 3)
	must(t, target.RemoveAll("/dir"))
}

func TestEachSandboxHasItsOwn(t *testing.T) {
	h := newHost(t, Options{})
	h.run("first", "10.0.0.1", "data")
	h.run("second", "fd00::2", "data")
	first, _ := mounted(t, h.listen("10.0.0.1"), "data")
	where := h.listen("fd00::2")
	second, _ := mounted(t, where, "data/")
	equal(t, h.open(), 2) // the same volume, but two lives
	_, handle, err := first.Lookup("/")
	must(t, err)
	_, err = first.GetAttr(handle)
	must(t, err)
	_, err = second.GetAttr(handle) // of the other's
	isStale(t, err)
	mountFails(t, dial(t, where), "/other", "MNT3ERR_NOENT")
}

func TestAVolumeThatCannotBeOpened(t *testing.T) {
	h := newHost(t, Options{})
	h.run("life", "10.0.0.1", "data", "file")
	must(t, os.Remove(h.volume("data")))
	must(t, os.Remove(h.volume("file")))
	must(t, os.WriteFile(h.volume("file"), nil, 0o666))
	client := dial(t, h.listen("10.0.0.1"))
	mountFails(t, client, "/data", "MNT3ERR_NOENT")
	mountFails(t, client, "/file", "MNT3ERR_NOTDIR")
	must(t, os.Mkdir(h.volume("data"), 0o755))
	_, err := (&nfsc.Mount{Client: client}).Mount("/data", rpc.AuthNull)
	must(t, err)
}

func TestAStrangerIsRefused(t *testing.T) {
	h := newHost(t, Options{})
	h.run("life", "10.0.0.1", "data")
	refused(t, h.listen("10.0.0.2"))
}

// refused checks that a connection is closed at once.
func refused(t *testing.T, where string) {
	t.Helper()
	conn, err := net.Dial("tcp", where)
	must(t, err)
	defer conn.Close()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("the server says something")
	}
}

func TestTheLastUmountClosesTheVolume(t *testing.T) {
	h := newHost(t, Options{})
	h.run("life", "10.0.0.1", "data")
	where := h.listen("10.0.0.1")
	target, mount := mounted(t, where, "/data")
	other, otherMount := mounted(t, where, "/data")
	equal(t, h.open(), 1)
	_, handle, err := target.Lookup("/")
	must(t, err)
	must(t, mount.Unmount())
	_, err = other.GetAttr(handle)
	must(t, err) // it has another user
	must(t, otherMount.Unmount())
	equal(t, h.open(), 0)
	_, err = target.GetAttr(handle)
	isStale(t, err)
	must(t, otherMount.Unmount()) // of what isn't mounted

	again, _ := mounted(t, where, "/data")
	_, err = again.GetAttr(handle)
	isStale(t, err) // of the mount before
	_, err = again.Mkdir("/dir", 0o755)
	must(t, err)
}

func TestUmountAllClosesTheVolumesOfALife(t *testing.T) {
	h := newHost(t, Options{})
	h.run("life", "10.0.0.1", "data", "other")
	h.run("second", "10.0.0.2", "data")
	where := h.listen("10.0.0.1")
	target, mount := mounted(t, where, "/data")
	mounted(t, where, "/data") // it has two users
	mounted(t, where, "/other")
	second, _ := mounted(t, h.listen("10.0.0.2"), "/data")
	equal(t, h.open(), 3)
	_, handle, err := target.Lookup("/")
	must(t, err)
	umountAll := &rpc.Header{Rpcvers: 2, Prog: programMount, Vers: 3, Proc: 4, Cred: rpc.AuthNull, Verf: rpc.AuthNull}
	for range 2 { // also where nothing is mounted
		_, err = mount.Call(umountAll)
		must(t, err)
		equal(t, h.open(), 1)
	}
	_, err = target.GetAttr(handle)
	isStale(t, err)
	_, err = second.Mkdir("/dir", 0o755)
	must(t, err)
	again, _ := mounted(t, where, "/data")
	must(t, again.RmDir("/dir"))
}
