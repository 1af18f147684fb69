package nsgate

import (
	"fmt"
	"syscall"
	"time"

	"github.com/nsgate/nsgate/go/internal/capi"
)

// Report tells what became of everything handed over for release.
type Report struct {
	Released  uint64
	Failed    uint64
	Abandoned uint64
	Remaining uint64 // not ended yet
	Stuck     uint64 // of these, over their budget
}

func newReport(r *capi.Report) Report {
	return Report{r.Released, r.Failed, r.Abandoned, r.Remaining, r.Stuck}
}

// String returns the report in one line.
func (r Report) String() string {
	return fmt.Sprintf("released %d, failed %d, abandoned %d, remaining %d, stuck %d",
		r.Released, r.Failed, r.Abandoned, r.Remaining, r.Stuck)
}

// ItemState tells how far a release is.
type ItemState uint32

// The states.
const (
	ItemQueued   ItemState = 1
	ItemRunning  ItemState = 2
	ItemStuck    ItemState = 3
	ItemRetrying ItemState = 4
	ItemFailed   ItemState = 5
)

// String returns the state in a word.
func (s ItemState) String() string {
	return word(uint32(s), "state", "", "queued", "running", "stuck", "retrying", "failed")
}

// Item is a release that has not ended, or that failed and was not forgotten.
type Item struct {
	Ticket   Ticket
	Kind     Kind
	State    ItemState
	Label    string // path or name
	Detail   string // what a stuck one hangs in, where that is known
	Attempts int
	Errno    syscall.Errno // of the last attempt
	Age      time.Duration // since the hand-over
}

// Remaining lists what has not ended, of more than 1,024 the oldest 1,024, and what failed. How many have
// not ended says [Report].Remaining of a [Gate.Drain] whose ctx is done, or [Stats]: Depth and InFlight
// together.
func (g *Gate) Remaining() ([]Item, error) {
	for capacity := 32; ; {
		buffer := make([]capi.ReportItem, capacity)
		var count int
		var e capi.Error
		if capi.GateReportItems(g.id, buffer, &count, &e) != capi.StatusOK {
			return nil, newError(&e)
		}
		if count > capacity {
			capacity = count + count/8
			continue
		}
		items := make([]Item, 0, count)
		for i := range buffer[:count] {
			c := &buffer[i]
			if c.Ticket == 0 {
				break // there are more than are listed
			}
			items = append(items, Item{
				Ticket:   Ticket{g.gate, c.Ticket},
				Kind:     Kind(c.Kind),
				State:    ItemState(c.State),
				Label:    c.Label(),
				Detail:   c.Detail(),
				Attempts: int(c.Attempts),
				Errno:    syscall.Errno(c.OSError),
				Age:      time.Duration(c.Age),
			})
		}
		return items, nil
	}
}
