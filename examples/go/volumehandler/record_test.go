//go:build linux && cgo

package volumehandler

import (
	"bytes"
	"encoding/binary"
	"math/rand"
	"net"
	"testing"
	"time"
)

// dialRaw connects without a client.
func dialRaw(t testing.TB, where string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", where)
	must(t, err)
	return conn
}

// message makes a record of numbers and opaque data.
func message(parts ...any) []byte {
	var body []byte
	for _, part := range parts {
		switch part := part.(type) {
		case int:
			body = binary.BigEndian.AppendUint32(body, uint32(part))
		case uint64:
			body = binary.BigEndian.AppendUint64(body, part)
		case string:
			body = binary.BigEndian.AppendUint32(body, uint32(len(part)))
			body = append(body, part...)
			body = append(body, make([]byte, -len(part)&3)...)
		}
	}
	return append(binary.BigEndian.AppendUint32(nil, lastFragment|uint32(len(body))), body...)
}

func request3(program, procedure int, arguments ...any) []byte {
	return message(append([]any{7, messageCall, 2, program, 3, procedure, 0, 0, 0, 0}, arguments...)...)
}

func mountRequest(path string) []byte { return request3(programMount, 1, path) }

func TestWhatIsNoRequestEndsTheConnection(t *testing.T) {
	h := newHost(t, Options{MaxRequest: 1 << 16})
	h.run("life", "10.0.0.1", "data")
	where := h.listen("10.0.0.1")
	for name, record := range map[string][]byte{
		"a fragment":            binary.BigEndian.AppendUint32(nil, 40),
		"empty":                 binary.BigEndian.AppendUint32(nil, lastFragment),
		"too long":              binary.BigEndian.AppendUint32(nil, lastFragment|1<<17),
		"an answer":             message(7, 1, 2, programNFS, 3, 0, 0, 0, 0, 0),
		"a long credential":     message(7, 0, 2, programNFS, 3, 0, 1, string(make([]byte, 404)), 0, 0),
		"a credential too long": message(7, 0, 2, programNFS, 3, 0, 1, 100, 0, 0),
	} {
		conn := dialRaw(t, where)
		_, err := conn.Write(record)
		must(t, err)
		conn.SetReadDeadline(time.Now().Add(patience))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		conn.Close()
	}
	eventually(t, "they are gone", func() bool { return connectionsOf(h.server) == 0 })
	conn := dialRaw(t, where)
	defer conn.Close()
	_, err := conn.Write(request3(programNFS, 0))
	must(t, err)
	conn.SetReadDeadline(time.Now().Add(patience))
	_, err = conn.Read(make([]byte, 28))
	must(t, err)
}

func isTimeout(err error) bool {
	network, ok := err.(net.Error)
	return ok && network.Timeout()
}

func TestHeadsOfRequests(t *testing.T) {
	c, err := parseCall(request3(programMount, procedureUmount, "/data"))
	must(t, err)
	equal(t, c.program, programMount)
	equal(t, c.procedure, procedureUmount)
	path, ok := c.path()
	equal(t, ok, true)
	equal(t, volumeName(path), "data")
	_, ok = call{arguments: []byte{0, 0, 0, 9, 'x'}}.path()
	equal(t, ok, false)

	seed := time.Now().UnixNano()
	random := rand.New(rand.NewSource(seed))
	good := request3(programNFS, 6, "handle", uint64(0), 100)
	for range 20_000 {
		record := bytes.Clone(good[:4+random.Intn(len(good)-3)])
		for range random.Intn(4) {
			record[random.Intn(len(record))] = byte(random.Intn(256))
		}
		if c, err := parseCall(record); err == nil && len(c.arguments) > len(record) {
			t.Fatalf("seed %d: %x", seed, record)
		}
	}
}

func TestAnswersThatFailed(t *testing.T) {
	answer := func(accepted, executed, status int) []byte {
		return message(7, 1, accepted, 0, 0, executed, status, 0)
	}
	equal(t, failed(answer(0, 0, 13)), true)
	equal(t, failed(answer(0, 0, 0)), false)
	equal(t, failed(answer(1, 0, 13)), false)
	equal(t, failed(answer(0, 3, 13)), false)
	equal(t, failed(nil), false)
	equal(t, bytes.Equal(stale(answer(0, 0, 13)), answer(0, 0, 70)), true)
}

func TestFileHandles(t *testing.T) {
	h := newHandles(2)
	equal(t, h.file(nil), 0)
	a, b := h.file([]string{"a"}), h.file([]string{"a", "b"})
	equal(t, h.file([]string{"a"}), a)
	path, ok := h.path(b)
	equal(t, ok && len(path) == 2 && path[1] == "b", true)
	c := h.file([]string{"c"}) // the least used goes
	_, ok = h.path(a)
	equal(t, ok, false)
	h.forget(b)
	_, ok = h.path(b)
	equal(t, ok, false)
	if again := h.file([]string{"a", "b"}); again == b || again == c {
		t.Error("a number was used again")
	}
	path, ok = h.path(0)
	equal(t, ok && len(path) == 0, true)

	server := [8]byte{1}
	mount, file, ok := decodeHandle(server, encodeHandle(server, 2, 3))
	equal(t, ok && mount == 2 && file == 3, true)
	_, _, ok = decodeHandle([8]byte{2}, encodeHandle(server, 2, 3))
	equal(t, ok, false)
	_, _, ok = decodeHandle(server, nil)
	equal(t, ok, false)
}
