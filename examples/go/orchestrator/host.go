package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// host is what must be the same when everything is over.
type host struct {
	mounts  int
	threads int // the library's
}

func lookAtHost() (h host, err error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return h, err
	}
	h.mounts = bytes.Count(table, []byte("\n"))
	names, err := filepath.Glob("/proc/self/task/*/comm")
	if err != nil {
		return h, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the thread has ended meanwhile
		}
		if err == nil && strings.HasPrefix(string(text), "nsgate") {
			h.threads++
		}
	}
	return h, nil
}
