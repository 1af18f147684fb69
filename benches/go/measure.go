//go:build linux

package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// samples is what one contender took, in nanoseconds per operation.
type samples struct {
	averages []float64 // over a batch each: their median is free of the clock's own cost
	singles  []float64 // for the p99
}

func (s *samples) average(total time.Duration, count int) {
	s.averages = append(s.averages, float64(total.Nanoseconds())/float64(count))
}

func (s *samples) single(took time.Duration) {
	s.singles = append(s.singles, float64(took.Nanoseconds()))
}

// both is for operations that are long enough to be timed by themselves.
func (s *samples) both(took time.Duration) {
	s.average(took, 1)
	s.single(took)
}

func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(int(math.Ceil(float64(len(sorted))*q)), 1)-1]
}

// goal is what a comparison should reach.
type goal struct {
	sort  string // at-most, faster, within, show; as benches/table.awk knows them
	value float64
}

func atMost(times float64) goal { return goal{"at-most", times} }
func faster(times float64) goal { return goal{"faster", times} }

var show = goal{"show", 0}

// contender is one side of a comparison; a round adds to its samples.
type contender struct {
	name  string
	round func(*samples)
	goal  goal
}

// repeat makes a round of an operation that can be repeated at will.
func repeat(batch int, operation func()) func(*samples) {
	return func(s *samples) {
		started := time.Now()
		for range batch {
			operation()
		}
		s.average(time.Since(started), batch)
		for range (batch + 3) / 4 {
			started := time.Now()
			operation()
			s.single(time.Since(started))
		}
	}
}

// each makes a round of an operation that is prepared and cleaned up outside the clock: prepare makes
// count of them.
func each(count int, prepare func(i int) (operation func()), after func()) func(*samples) {
	return func(s *samples) {
		operations := make([]func(), count)
		for i := range operations {
			operations[i] = prepare(i)
		}
		batch := count * 4 / 5
		started := time.Now()
		for _, operation := range operations[:batch] {
			operation()
		}
		s.average(time.Since(started), batch)
		for _, operation := range operations[batch:] {
			started := time.Now()
			operation()
			s.single(time.Since(started))
		}
		after()
	}
}

// compare runs the contenders in turns, and prints a line for the first, nsgate, beside each other.
func compare(work string, rounds int, ours func(*samples), others ...contender) {
	all := append([]contender{{"nsgate", ours, show}}, others...)
	results := make([]samples, len(all))
	for i := range all {
		all[i].round(new(samples)) // warms caches
	}
	for range rounds {
		for i := range all {
			all[i].round(&results[i])
		}
	}
	for i := 1; i < len(all); i++ {
		line(work, &results[0], all[i].name, &results[i], all[i].goal)
	}
}

var out = bufio.NewWriter(os.Stdout)

// line prints, separated by tabs: language, work, median, p99, against, median, p99, sort of goal, goal.
func line(work string, ours *samples, name string, theirs *samples, goal goal) {
	fmt.Fprintf(out, "Go\t%s\t%.1f\t%.1f\t%s\t%.1f\t%.1f\t%s\t%g\n", work,
		quantile(ours.averages, 0.5), quantile(ours.singles, 0.99), name,
		quantile(theirs.averages, 0.5), quantile(theirs.singles, 0.99), goal.sort, goal.value)
	out.Flush()
}

// lineWithin prints a line whose goal is a time.
func lineWithin(work string, ours *samples, limit time.Duration) {
	fmt.Fprintf(out, "Go\t%s\t%.1f\t%.1f\ta limit\t%d\tNaN\twithin\t1\n", work,
		quantile(ours.averages, 0.5), quantile(ours.singles, 0.99), limit.Nanoseconds())
	out.Flush()
}
