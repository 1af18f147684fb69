package capi

import (
	"iter"
	"unsafe"
)

// Records walks what DirectoryRead has left in a buffer. An entry is valid until the next read.
func Records(buffer []uint64, used int) iter.Seq2[*DirectoryEntry, string] {
	return func(yield func(*DirectoryEntry, string) bool) {
		base := unsafe.Pointer(unsafe.SliceData(buffer))
		used = min(used, len(buffer)*8)
		const head = int(unsafe.Sizeof(DirectoryEntry{}))
		for offset := 0; offset+head <= used; {
			entry := (*DirectoryEntry)(unsafe.Add(base, offset))
			length := int(entry.RecordLength)
			if length < head || offset+length > used || head+int(entry.NameLength) > length {
				return // not what the library writes
			}
			name := string(unsafe.Slice((*byte)(unsafe.Add(base, offset+head)), entry.NameLength))
			if !yield(entry, name) {
				return
			}
			offset += length
		}
	}
}
