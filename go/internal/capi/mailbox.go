//go:build linux && cgo

package capi

// #include "shim.h"
// #cgo noescape nsgate_go_mailbox_take
// #cgo nocallback nsgate_go_mailbox_take
// #cgo nocallback nsgate_go_mailbox_wake
import "C"

import (
	"os"
	"sync"
	"syscall"
)

// The mailbox is one for the process: what it has to tell may outlive the gate it came from. It is read
// as long as a gate is open, or C has a number that it will say the end of.
var mailbox struct {
	sync.Mutex
	gates  int
	reader bool
}

// OpenMailbox makes sure that the mailbox is read, until CloseMailbox is called as often.
func OpenMailbox() error {
	mailbox.Lock()
	defer mailbox.Unlock()
	if !mailbox.reader {
		fd := C.nsgate_go_mailbox_open()
		if fd < 0 {
			return os.NewSyscallError("eventfd", syscall.Errno(-fd))
		}
		mailbox.reader = true
		go readMailbox(os.NewFile(uintptr(fd), "nsgate mailbox"))
	}
	mailbox.gates++
	return nil
}

// CloseMailbox undoes one OpenMailbox. It doesn't wait for the reader, in which it may be called.
func CloseMailbox() {
	mailbox.Lock()
	mailbox.gates--
	mailbox.Unlock()
	C.nsgate_go_mailbox_wake()
}

// dropped takes back a number that C has not taken.
func dropped[V any](r *Registry[V], key uint64) {
	r.Remove(key)
	C.nsgate_go_mailbox_wake()
}

func readMailbox(file *os.File) {
	var counter [8]byte
	for {
		var letter C.nsgate_go_letter
		for C.nsgate_go_mailbox_take(&letter) != 0 {
			read(&letter)
		}
		if nothingToRead() {
			file.Close()
			return
		}
		_, _ = file.Read(counter[:]) // there is nothing that could fail
	}
}

// nothingToRead ends the mailbox if nothing can come any more.
func nothingToRead() bool {
	mailbox.Lock()
	defer mailbox.Unlock()
	if mailbox.gates > 0 || jobs.Len()+lives.Len()+subscribers.Len() > 0 {
		return false
	}
	C.nsgate_go_mailbox_close()
	mailbox.reader = false
	return true
}

func read(letter *C.nsgate_go_letter) {
	key := uint64(letter.key)
	switch letter.kind {
	case C.NSGATE_GO_LETTER_JOB_ENDED:
		jobs.Remove(key)
	case C.NSGATE_GO_LETTER_LIFE_ENDED:
		lives.Remove(key)
	case C.NSGATE_GO_LETTER_SUBSCRIBER_ENDED:
		if subscriber, ok := subscribers.Remove(key); ok {
			subscriber.Ended()
		}
	case C.NSGATE_GO_LETTER_RELEASED:
		C.nsgate_go_deliver(letter)
	}
}
