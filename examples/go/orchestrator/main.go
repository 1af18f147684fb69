// The orchestrator is nsgate in small: twenty sandboxes with five volumes each, three subscribers, and
// a stop of all of them at once while one volume hangs for two seconds.
//
// It needs no arguments. The volumes are directory trees below the temporary directory, and are removed
// again; -keep leaves them. The exit status says whether everything was released, and nobody waited for
// the volume that hung.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

const (
	sandboxCount    = 20
	volumesEach     = 5
	hang            = 2 * time.Second
	hangingSandbox  = 7
	hangingVolume   = 3
	patience        = 30 * time.Second // for what takes milliseconds
	callbackAllowed = time.Millisecond // what a callback may take before it counts as slow
	releaseAllowed  = hang / 4         // what a release may take before it counts as stuck
)

func main() {
	keep := flag.Bool("keep", false, "leave the volumes in place")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "orchestrator:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, keep bool) (err error) {
	screen := newScreen(os.Stdout)
	defer screen.done()

	screen.phase("filling volumes", sandboxCount*volumesEach)
	store, err := makeVolumes(screen.step)
	if err != nil {
		return err
	}
	if keep {
		defer func() { fmt.Println("the volumes are in", store.directory) }()
	} else {
		defer func() { err = errors.Join(err, store.remove()) }()
	}

	gate, err := nsgate.Open(nsgate.WithBudgets(0, releaseAllowed, callbackAllowed))
	if err != nil {
		return err
	}
	o, err := newOrchestrator(gate, store)
	if err != nil {
		return err
	}
	before, err := lookAtHost()
	if err != nil {
		return err
	}

	screen.phase("starting sandboxes", sandboxCount)
	if err := o.start(ctx, screen.step); err != nil {
		return err
	}
	screen.phase("serving volumes", sandboxCount*volumesEach)
	if err := o.serve(ctx, screen.step); err != nil {
		return err
	}
	during, err := lookAtHost()
	if err != nil {
		return err
	}
	if err := o.makeOneHang(); err != nil {
		return err
	}
	screen.phase("stopping all of them at once", sandboxCount*volumesEach)
	if err := o.stop(ctx); err != nil {
		return err
	}
	halfway, err := o.waitUntilOnlyTheHangingOneIsLeft(ctx, screen.reach)
	if err != nil {
		return err
	}
	if err := o.waitForTheRest(ctx, screen.reach); err != nil {
		return err
	}
	subscribers, err := o.subscriberStats()
	if err != nil {
		return err
	}
	if err := o.sandboxes.Close(); err != nil {
		return err
	}
	closing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	report, err := gate.Close(closing)
	if err != nil {
		return err
	}
	after, err := lookAtHost()
	if err != nil {
		return err
	}
	screen.done()

	result := &result{
		runs: o.runs, subscribers: subscribers, halfway: halfway, final: report,
		before: before, during: during, after: after, work: o.work.total(),
	}
	result.print(screen)
	return result.check()
}
