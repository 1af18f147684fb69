//go:build linux && cgo

package capi

// #include "shim.h"
// #cgo noescape nsgate_go_mailbox_take
// #cgo nocallback nsgate_go_mailbox_take
// #cgo nocallback nsgate_go_mailbox_pending
import "C"

import (
	"os"
	"sync"
	"syscall"
)

// The mailbox is one for the process: what it has to tell may outlive the gate it came from. It is read
// while a gate is open; afterwards by whoever gives something back.
var mailbox struct {
	sync.Mutex
	users int
	file  *os.File
	ended chan struct{}
}

// OpenMailbox makes sure that the mailbox is read, until CloseMailbox is called as often.
func OpenMailbox() error {
	mailbox.Lock()
	defer mailbox.Unlock()
	if mailbox.users == 0 {
		fd := C.nsgate_go_mailbox_open()
		if fd < 0 {
			return os.NewSyscallError("eventfd", syscall.Errno(-fd))
		}
		mailbox.file = os.NewFile(uintptr(fd), "nsgate mailbox")
		mailbox.ended = make(chan struct{})
		go readMailbox(mailbox.file, mailbox.ended)
	}
	mailbox.users++
	return nil
}

// CloseMailbox undoes one OpenMailbox. It doesn't wait for the reader, in which it may be called.
func CloseMailbox() {
	mailbox.Lock()
	defer mailbox.Unlock()
	mailbox.users--
	if mailbox.users == 0 {
		C.nsgate_go_mailbox_close()
		mailbox.file.Close()
	}
}

// TendMailbox reads what there is if nobody else does.
func TendMailbox() {
	mailbox.Lock()
	tended := mailbox.users > 0
	mailbox.Unlock()
	if !tended {
		readLetters()
	}
}

func readMailbox(file *os.File, ended chan<- struct{}) {
	defer close(ended)
	var counter [8]byte
	for {
		readLetters()
		if _, err := file.Read(counter[:]); err != nil {
			readLetters()
			return
		}
	}
}

// letters is held by the reader: letters are answered in the order in which they came.
var letters sync.Mutex

// readLetters reads what there is, unless somebody does already, who then also reads what came since.
func readLetters() {
	for C.nsgate_go_mailbox_pending() != 0 && letters.TryLock() {
		var letter C.nsgate_go_letter
		for C.nsgate_go_mailbox_take(&letter) != 0 {
			read(&letter)
		}
		letters.Unlock()
	}
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
