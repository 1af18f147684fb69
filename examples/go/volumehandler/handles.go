package volumehandler

import (
	"encoding/binary"
	"path"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// A file handle is the server's id, the mount's and the file's. So handles of a server before, of a mount
// before or of another life are STALE.
const handleLength = 8 + 8 + 8

func encodeHandle(server [8]byte, mount, file uint64) []byte {
	handle := make([]byte, 0, handleLength)
	handle = append(handle, server[:]...)
	handle = binary.BigEndian.AppendUint64(handle, mount)
	return binary.BigEndian.AppendUint64(handle, file)
}

func decodeHandle(server [8]byte, handle []byte) (mount, file uint64, ok bool) {
	if len(handle) != handleLength || [8]byte(handle[:8]) != server {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(handle[8:]), binary.BigEndian.Uint64(handle[16:]), true
}

// handles are the files of a mount that have file handles, by their paths. The root is 0 and always
// there; of the others the least used are forgotten.
type handles struct {
	mu    sync.Mutex
	last  uint64
	paths *simplelru.LRU[uint64, string]
	files map[string]uint64
}

func newHandles(limit int) *handles {
	h := &handles{files: make(map[string]uint64)}
	h.paths, _ = simplelru.NewLRU(limit, func(_ uint64, name string) { delete(h.files, name) })
	return h
}

// file returns the number of a path.
func (h *handles) file(parts []string) uint64 {
	name := path.Join(parts...)
	if name == "" {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if file, ok := h.files[name]; ok {
		h.paths.Get(file) // it was used
		return file
	}
	h.last++
	h.paths.Add(h.last, name)
	h.files[name] = h.last
	return h.last
}

// path returns the path of a number.
func (h *handles) path(file uint64) ([]string, bool) {
	if file == 0 {
		return []string{}, true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	name, ok := h.paths.Get(file)
	if !ok {
		return nil, false
	}
	return strings.Split(name, "/"), true
}

// forget makes a number STALE.
func (h *handles) forget(file uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.paths.Remove(file)
}
