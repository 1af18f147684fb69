package volumehandler

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// The numbers of RFC 5531 and RFC 1813 that are looked at.
const (
	lastFragment = 1 << 31
	messageCall  = 0
	maxAuth      = 400 // bytes of a credential or verifier

	programNFS      = 100003
	programMount    = 100005
	procedureUmount = 3
)

var errRecord = errors.New("not a request in one fragment")

// readRecord reads one request, with the four bytes of its record mark, into buffer. go-nfs takes
// requests in one fragment only.
func readRecord(r io.Reader, buffer *bytes.Buffer, limit int) error {
	buffer.Reset()
	if _, err := io.CopyN(buffer, r, 4); err != nil {
		return err
	}
	mark := binary.BigEndian.Uint32(buffer.Bytes())
	length := mark &^ lastFragment
	if mark&lastFragment == 0 || length > uint32(limit) {
		return errRecord
	}
	_, err := io.CopyN(buffer, r, int64(length)) // grows with what comes
	return err
}

// call is the head of a request.
type call struct {
	program, procedure uint32
	arguments          []byte
}

// parseCall looks into a request.
func parseCall(record []byte) (c call, err error) {
	f := fields{left: record[4:]}
	f.number() // xid
	kind := f.number()
	f.number() // version of RPC
	c.program = f.number()
	f.number() // version of the program
	c.procedure = f.number()
	for range 2 { // credential, verifier
		f.number()
		f.opaque(maxAuth)
	}
	if f.failed || kind != messageCall {
		return call{}, errRecord
	}
	c.arguments = f.left
	return c, nil
}

// path is the path in the arguments of an UMNT.
func (c call) path() (string, bool) {
	f := fields{left: c.arguments}
	path := f.opaque(1024) // MNTPATHLEN
	return string(path), !f.failed
}

// fields takes XDR fields from the front of a message.
type fields struct {
	left   []byte
	failed bool
}

func (f *fields) number() uint32 {
	if len(f.left) < 4 {
		f.left, f.failed = nil, true
		return 0
	}
	n := binary.BigEndian.Uint32(f.left)
	f.left = f.left[4:]
	return n
}

func (f *fields) opaque(limit uint32) []byte {
	n := f.number()
	padded := (uint64(n) + 3) &^ 3
	if f.failed || n > limit || padded > uint64(len(f.left)) {
		f.left, f.failed = nil, true
		return nil
	}
	data := f.left[:n]
	f.left = f.left[padded:]
	return data
}
