//go:build linux

// The benchmarks in Go: nsgate beside os.Root, plain os, a thread per chroot, and a map in pure Go.
//
// They run in a mount namespace of their own (tests/in-namespace): everything that they mount is gone
// with it. benches/run turns the lines that they print into a table. Sections can be named as arguments.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"

	nsgate "github.com/nsgate/nsgate/go"
)

func main() {
	// Collections are for whoever allocates; here they would hit one contender or the other by chance.
	debug.SetGCPercent(400)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(only []string) (err error) {
	fixture, err := newFixture()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fixture.remove()) }()
	gate, err := nsgate.Open()
	if err != nil {
		return err
	}
	for _, section := range []struct {
		name    string
		measure func(*nsgate.Gate, *volumeFixture) error
	}{
		{"files", measureFiles},
		{"remove_all", measureRemoveAll},
		{"map", measureMap},
		{"busy", measureBusy},
		{"run", measureRun},
		{"open", measureOpen}, // last: it fills the mount table
	} {
		if len(only) > 0 && !slices.Contains(only, section.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "go:", section.name)
		if err := section.measure(gate, fixture); err != nil {
			return fmt.Errorf("%s: %w", section.name, err)
		}
	}
	_, err = gate.Close(context.Background())
	return err
}

// must ends a measurement that does not do what it should.
func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
