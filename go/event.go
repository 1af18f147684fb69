package nsgate

import (
	"strconv"
	"syscall"
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Kind tells what was released.
type Kind uint32

// The kinds.
const (
	KindChroot         Kind = 1
	KindMountNamespace Kind = 2
	KindDescriptor     Kind = 3
	KindUnmount        Kind = 4
	KindJob            Kind = 5
)

// Outcome tells how a release ended.
type Outcome uint32

// The outcomes.
const (
	OutcomeReleased  Outcome = 1
	OutcomeFailed    Outcome = 2
	OutcomeCancelled Outcome = 3
	OutcomeAbandoned Outcome = 4 // the gate closed before it ended
)

// Proof tells how sure it is that a released thing is gone.
type Proof uint32

// The proofs.
const (
	ProofNone       Proof = 0 // not released
	ProofVerified   Proof = 1 // the kernel says that it no longer exists, nor do the mounts below it
	ProofHeld       Proof = 2 // something still holds it, such as an open file
	ProofUnverified Proof = 3 // the kernel can't tell; or a chroot has, or may have, mounts below its root
)

// Event is the end of one release.
type Event struct {
	Sequence        uint64 // counts the events of a gate, without gaps
	Ticket          Ticket
	Kind            Kind
	Outcome         Outcome
	Proof           Proof
	HeldDescriptors int           // with ProofHeld: how many descriptors of this process hold it, of the 4,096 lowest
	Errno           syscall.Errno // with OutcomeFailed, 0 if it was no system call
	Attempts        int
	// BeforeRelease is the error of the step that [Chroot.BeforeRelease] set: an Errno or, where that is
	// not known, EIO. The release went on all the same.
	BeforeRelease error
	Queued        time.Duration // from the hand-over to the first attempt
	Worked        time.Duration // from then until it was gone
}

func newEvent(g *gate, e *capi.Event) Event {
	event := Event{
		Sequence:        e.Sequence,
		Ticket:          Ticket{g, e.Ticket},
		Kind:            Kind(e.Kind),
		Outcome:         Outcome(e.Outcome),
		Proof:           Proof(e.Proof),
		HeldDescriptors: int(e.HeldDescriptors),
		Errno:           syscall.Errno(e.OSError),
		Attempts:        int(e.Attempts),
		Queued:          time.Duration(e.Queued),
		Worked:          time.Duration(e.Worked),
	}
	if e.BeforeReleaseFailed != 0 {
		event.BeforeRelease = syscall.EIO
		if e.BeforeReleaseOSError != 0 {
			event.BeforeRelease = syscall.Errno(e.BeforeReleaseOSError)
		}
	}
	return event
}

func word(n uint32, what string, words ...string) string {
	if int(n) < len(words) && words[n] != "" {
		return words[n]
	}
	return what + " " + strconv.FormatUint(uint64(n), 10)
}

// String returns the kind in a word.
func (k Kind) String() string {
	return word(uint32(k), "kind", "", "chroot", "mount namespace", "descriptor", "unmount", "job")
}

// String returns the outcome in a word.
func (o Outcome) String() string {
	return word(uint32(o), "outcome", "", "released", "failed", "cancelled", "abandoned")
}

// String returns the proof in a word.
func (p Proof) String() string {
	return word(uint32(p), "proof", "none", "verified", "held", "unverified")
}
