//go:build linux && cgo

package nsgatebilly_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	nfs "github.com/willscott/go-nfs"
	nfsc "github.com/willscott/go-nfs-client/nfs"
	"github.com/willscott/go-nfs-client/nfs/rpc"
	"github.com/willscott/go-nfs/helpers"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/nsgatebilly"
)

// serve serves a file system by NFS on loopback, and mounts it with a client.
func serve(t *testing.T, f *nsgatebilly.FS) *nfsc.Target {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() {
		served <- nfs.Serve(listener, helpers.NewCachingHandler(helpers.NewNullAuthHandler(f), 1024))
	}()
	t.Cleanup(func() {
		listener.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	client := dial(t, listener.Addr().String())
	t.Cleanup(client.Close)
	mounter := nfsc.Mount{Client: client}
	target, err := mounter.Mount("/", rpc.AuthNull)
	must(t, err)
	_, err = target.FSInfo()
	must(t, err)
	return target
}

// dial tries other ports while the one that the client takes for itself is in use.
func dial(t *testing.T, address string) *rpc.Client {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		client, err := rpc.DialTCP("tcp", address, false)
		if err == nil {
			return client
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestAnNFSClientReadsAndWrites(t *testing.T) {
	f, volume := openFS(t, nil)
	target := serve(t, f)

	_, err := target.Mkdir("/dir", 0o755)
	must(t, err)
	file, err := target.OpenFile("/dir/file", 0o644)
	must(t, err)
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	_, err = file.Write(content)
	must(t, err)
	must(t, file.Close())
	onDisk, err := os.ReadFile(filepath.Join(volume, "dir/file"))
	must(t, err)
	equal(t, bytes.Equal(onDisk, content), true)
	file, err = target.Open("/dir/file")
	must(t, err)
	read, err := io.ReadAll(file)
	must(t, err)
	equal(t, bytes.Equal(read, content), true)

	must(t, target.Symlink("/dir/file", "/link"))
	where, err := os.Readlink(filepath.Join(volume, "link"))
	must(t, err)
	equal(t, where, "/dir/file")
	must(t, target.Rename("/dir/file", "/dir/renamed"))
	entries, err := target.ReadDirPlus("/dir")
	must(t, err)
	equal(t, len(entries), 1)
	equal(t, entries[0].FileName, "renamed")
	must(t, target.Remove("/dir/renamed"))
	must(t, target.RmDir("/dir"))
	must(t, target.Remove("/link"))
	left, err := os.ReadDir(volume)
	must(t, err)
	equal(t, len(left), 0)
}

func TestAnNFSClientChangesAttributes(t *testing.T) {
	f, volume := openFS(t, nil)
	target := serve(t, f)
	must(t, os.WriteFile(filepath.Join(volume, "file"), []byte("0123456789"), 0o644))

	when := time.Date(2001, 2, 3, 4, 5, 6, 7000, time.UTC)
	seconds := nfsc.NFS3Time{Seconds: uint32(when.Unix()), Nseconds: uint32(when.Nanosecond())}
	must(t, target.Setattr("/file", nfsc.Sattr3{Mode: nfsc.SetMode{SetIt: true, Mode: 0o600}}))
	must(t, target.Setattr("/file", nfsc.Sattr3{Size: nfsc.SetSize{SetIt: true, Size: 4}}))
	must(t, target.Setattr("/file", nfsc.Sattr3{
		UID: nfsc.SetUID{SetIt: true, UID: uint32(os.Getuid())},
		GID: nfsc.SetUID{SetIt: true, UID: uint32(os.Getgid())},
	}))
	must(t, target.Setattr("/file", nfsc.Sattr3{
		Atime: nfsc.SetTime{SetIt: nfsc.SetToClientTime, Time: seconds},
		Mtime: nfsc.SetTime{SetIt: nfsc.SetToClientTime, Time: seconds},
	}))
	info, err := os.Stat(filepath.Join(volume, "file"))
	must(t, err)
	equal(t, info.Mode(), 0o600)
	equal(t, info.Size(), 4)
	if !info.ModTime().Equal(when) {
		t.Error(info.ModTime())
	}
	attributes, err := target.Getattr("/file")
	must(t, err)
	equal(t, attributes.Filesize, 4)
	equal(t, attributes.Fileid, info.Sys().(*syscall.Stat_t).Ino)
}

func TestAnNFSClientCannotHangTheServerOnAFifo(t *testing.T) {
	f, volume := openFS(t, nil)
	target := serve(t, f)
	must(t, syscall.Mkfifo(filepath.Join(volume, "fifo"), 0o666))
	fifo, err := target.Open("/fifo")
	must(t, err) // a look-up
	if _, err := fifo.Read(make([]byte, 10)); err == nil {
		t.Error("read from a FIFO")
	}
	_, err = target.Mkdir("/still-there", 0o755)
	must(t, err)
}

func TestAnNFSClientOfAReadOnlyVolume(t *testing.T) {
	f, _ := openFS(t, &nsgate.ChrootOptions{ReadOnly: true})
	target := serve(t, f)
	_, err := target.Mkdir("/dir", 0o755)
	var status *nfsc.Error
	if !errors.As(err, &status) || status.ErrorNum != nfsc.NFS3ErrROFS {
		t.Error(err)
	}
}
