package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// screen shows what goes on: on a terminal in one line that is overwritten, elsewhere in a plain line
// for each phase.
type screen struct {
	file     *os.File
	terminal bool
	color    bool

	mu      sync.Mutex
	name    string
	total   int
	count   int
	painted time.Time
}

func newScreen(file *os.File) *screen {
	// /dev/null is a character device too, but nobody reads what it is told.
	info, err := file.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	return &screen{file: file, terminal: terminal, color: terminal && os.Getenv("NO_COLOR") == ""}
}

// phase begins something that takes total steps.
func (s *screen) phase(name string, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name, s.total, s.count = name, total, 0
	if s.terminal {
		s.paint()
	} else {
		fmt.Fprintf(s.file, "%s (%d)\n", name, total)
	}
}

// step is one more done.
func (s *screen) step() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	s.paintSometimes()
}

// reach is count done.
func (s *screen) reach(count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count = count
	s.paintSometimes()
}

func (s *screen) paintSometimes() {
	if s.terminal && (s.count == s.total || time.Since(s.painted) > 50*time.Millisecond) {
		s.paint()
	}
}

func (s *screen) paint() {
	const width = 30
	full := 0
	if s.total > 0 {
		full = width * s.count / s.total
	}
	bar := make([]byte, width)
	for i := range bar {
		bar[i] = ' '
		if i < full {
			bar[i] = '='
		}
	}
	s.painted = time.Now()
	fmt.Fprintf(s.file, "\r\x1b[K%-28s [%s] %d/%d", s.name, bar, s.count, s.total)
}

// done takes the progress line away.
func (s *screen) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.terminal && s.name != "" {
		fmt.Fprint(s.file, "\r\x1b[K")
	}
	s.name = ""
}

// The looks of a text.
const (
	plain = ""
	bold  = "1"
	red   = "31"
	green = "32"
)

// paintText gives a text a look, on a terminal.
func (s *screen) paintText(look, text string) string {
	if !s.color || look == plain {
		return text
	}
	return "\x1b[" + look + "m" + text + "\x1b[0m"
}
