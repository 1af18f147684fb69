package volumehandler

import (
	"bytes"
	"encoding/binary"

	nfs "github.com/willscott/go-nfs"
)

// An answer of NFS: record mark, xid, that it is an answer, that it was accepted, an empty verifier of two
// numbers, that it was executed, and the status. What follows an error status is the same for all.
const (
	answerAccepted = 4 + 4 + 4
	answerExecuted = answerAccepted + 4 + 8
	answerStatus   = answerExecuted + 4
)

// failed tells whether an answer is one of a request that was executed and failed.
func failed(answer []byte) bool {
	return len(answer) >= answerStatus+4 &&
		binary.BigEndian.Uint32(answer[answerAccepted:]) == 0 &&
		binary.BigEndian.Uint32(answer[answerExecuted:]) == 0 &&
		binary.BigEndian.Uint32(answer[answerStatus:]) != uint32(nfs.NFSStatusOk)
}

// stale is the answer with the status NFS3ERR_STALE.
func stale(answer []byte) []byte {
	answer = bytes.Clone(answer)
	binary.BigEndian.PutUint32(answer[answerStatus:], uint32(nfs.NFSStatusStale))
	return answer
}
