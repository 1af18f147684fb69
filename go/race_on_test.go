//go:build race

package nsgate_test

const raceDetector = true
