//go:build linux && cgo

package nsgateslog_test

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"syscall"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/nsgateslog"
)

func ExampleWatch() {
	gate, _ := nsgate.Open()
	defer gate.Close(context.Background())
	// A part of the attributes, so that the output is always the same.
	part := func(groups []string, a slog.Attr) slog.Attr {
		if slices.Contains([]string{"level", "msg", "kind", "label", "error"}, a.Key) {
			return a
		}
		return slog.Attr{}
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: part}))

	watcher := nsgateslog.Watch(gate, log, nsgateslog.Options{})
	told := make(chan nsgate.Event, 1)
	defer gate.OnRelease(func(event nsgate.Event) { told <- event })()
	job, _ := gate.Reserve("remove the lock", func(context.Context) error { return syscall.EACCES })
	defer job.Free()
	job.Submit()
	<-told
	watcher.Stop() // has a last look
	// Output: level=ERROR msg="nsgate: a release failed" kind=job label="remove the lock" error="permission denied"
}
