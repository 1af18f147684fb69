//go:build race

package nsgate_test

const raceEnabled = true
