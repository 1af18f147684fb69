package main

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// sandboxRun is what happened to one sandbox when it was stopped.
type sandboxRun struct {
	id      string
	address netip.Addr
	hangs   bool

	mu       sync.Mutex
	stopped  time.Time     // when all were told to stop
	held     time.Duration // how long the call held its caller
	goneAt   []time.Time
	outcomes []nsgate.Event
}

func (r *sandboxRun) called(stopped time.Time, held time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped, r.held = stopped, held
}

func (r *sandboxRun) gone(at time.Time, event nsgate.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.goneAt = append(r.goneAt, at)
	r.outcomes = append(r.outcomes, event)
}

// goneAfter lists, for each chroot, the time from the stop until it was gone.
func (r *sandboxRun) goneAfter() []time.Duration {
	after := make([]time.Duration, len(r.goneAt))
	for i, at := range r.goneAt {
		after[i] = at.Sub(r.stopped)
	}
	slices.Sort(after)
	return after
}

// result is what the demo shows in the end. Nobody writes to the runs any more.
type result struct {
	runs                  []*sandboxRun
	subscribers           []nsgate.SubscriberStats
	halfway               []nsgate.Item
	final                 nsgate.Report
	before, during, after host
	work                  workTotal
}

func (r *result) print(s *screen) {
	out := func(format string, values ...any) { fmt.Fprintf(s.file, format, values...) }
	out("\n%s\n", s.paintText(bold, fmt.Sprintf("%d sandboxes, %d volumes each: %d file operations and %d jobs inside, then all stopped at once",
		sandboxCount, volumesEach, r.work.operations, r.work.jobs)))
	out("\n%s\n", s.paintText(bold, fmt.Sprintf("%-12s %-11s %16s   %s", "sandbox", "address", "NetworkReleased", "each of its chroots gone after")))
	for _, run := range r.runs {
		out("%-12s %-11s %16s  ", run.id, run.address, "held "+micros(run.held))
		for _, after := range run.goneAfter() {
			look := plain
			if after >= hang {
				look = red
			}
			out(" %s", s.paintText(look, fmt.Sprintf("%10s", millis(after))))
		}
		if run.hangs {
			out("  %s", s.paintText(red, fmt.Sprintf("<- %s hangs for %s", volumeName(hangingVolume), hang)))
		}
		out("\n")
	}

	held := r.held()
	others, hanging := r.othersAndHanging()
	out("\n")
	out("NetworkReleased    %d calls, half of them within %s, the longest %s\n", len(held), micros(held[len(held)/2]), micros(held[len(held)-1]))
	if len(others) > 0 {
		out("chroots            %d of %d gone after %s, while one hung until %s\n",
			len(others), len(others)+len(hanging), millis(others[len(others)-1]), seconds(hanging))
	}
	for _, item := range r.halfway {
		out("meanwhile          the gate reported: %s %s, %s for %s\n", item.Kind, shortLabel(item.Label), item.State, item.Age.Round(time.Millisecond))
	}
	for _, subscriber := range r.subscribers {
		out("%-18s %d calls, %d slow, %d failed, the longest %s\n", subscriber.Name, subscriber.Calls, subscriber.Slow, subscriber.Failures, micros(subscriber.Longest))
	}
	out("host               %d mounts before, %d with all volumes open, %d after; %d to %d threads of the library\n",
		r.before.mounts, r.during.mounts, r.after.mounts, r.before.threads, r.during.threads)
	out("gate, final        %s\n", r.final)
	verdict, look := "nobody waited for the volume that hung, and nothing is left", green
	if err := r.check(); err != nil {
		verdict, look = err.Error(), red
	}
	out("\n%s\n", s.paintText(look, verdict))
}

// check says what is not as it should be. It compares with the two seconds, not with microseconds: the
// machine may be slow.
func (r *result) check() error {
	var wrong []error
	others, hanging := r.othersAndHanging()
	if len(others) != sandboxCount*volumesEach-1 || len(hanging) != 1 {
		wrong = append(wrong, fmt.Errorf("%d chroots were gone at once and %d after the hang, not %d and 1", len(others), len(hanging), sandboxCount*volumesEach-1))
	}
	if held := r.held(); held[len(held)-1] >= hang {
		wrong = append(wrong, fmt.Errorf("a NetworkReleased held its caller for %s", held[len(held)-1]))
	}
	for _, run := range r.runs {
		for _, event := range run.outcomes {
			if event.Outcome != nsgate.OutcomeReleased {
				wrong = append(wrong, fmt.Errorf("%s: a chroot ended as %s", run.id, event.Outcome))
			}
		}
	}
	if r.final.Remaining != 0 || r.final.Failed != 0 || r.final.Abandoned != 0 {
		wrong = append(wrong, fmt.Errorf("the gate's report: %s", r.final))
	}
	if r.after.mounts != r.before.mounts {
		wrong = append(wrong, fmt.Errorf("%d mounts before, %d after", r.before.mounts, r.after.mounts))
	}
	return errors.Join(wrong...)
}

func (r *result) held() (all []time.Duration) {
	for _, run := range r.runs {
		all = append(all, run.held)
	}
	slices.Sort(all)
	return all
}

// othersAndHanging splits the times at the two seconds of the hang, which only the one job takes.
func (r *result) othersAndHanging() (others, hanging []time.Duration) {
	for _, run := range r.runs {
		for _, after := range run.goneAfter() {
			if after < hang {
				others = append(others, after)
			} else {
				hanging = append(hanging, after)
			}
		}
	}
	slices.Sort(others)
	return others, hanging
}

func micros(d time.Duration) string {
	if d >= 10*time.Millisecond {
		return millis(d)
	}
	return fmt.Sprintf("%.1f µs", float64(d.Nanoseconds())/1e3)
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Nanoseconds())/1e6) }

func seconds(all []time.Duration) string {
	if len(all) == 0 {
		return "no later"
	}
	return fmt.Sprintf("%.2f s", all[len(all)-1].Seconds())
}

// shortLabel leaves the directory of all volumes out.
func shortLabel(label string) string {
	parts := strings.Split(filepath.ToSlash(label), "/")
	return strings.Join(parts[max(len(parts)-2, 0):], "/")
}
