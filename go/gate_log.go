package nsgate

import (
	"context"
	"log/slog"
	"sync"
)

// gateLog logs from goroutines of its own, one message at a time. The host's handler may block, panic or
// end its goroutine; who has something to say here is a goroutine of the garbage collector's or the one
// that reads the mailbox, and everything else waits for those.
type gateLog struct {
	to *slog.Logger

	mu      sync.Mutex
	waiting []logMessage
	lost    int
	writing bool
}

type logMessage struct {
	level slog.Level
	text  string
	args  []any
}

// mostMessages is how many messages wait for a handler that hangs.
const mostMessages = 1024

func newGateLog(to *slog.Logger) *gateLog {
	if to == nil {
		to = slog.New(slog.DiscardHandler)
	}
	return &gateLog{to: to}
}

func (l *gateLog) say(level slog.Level, text string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == mostMessages {
		l.lost++
		return
	}
	l.waiting = append(l.waiting, logMessage{level, text, args})
	if !l.writing {
		l.writing = true
		go l.write()
	}
}

// write hands over one message, and the rest to another goroutine: this one may have come to its end.
func (l *gateLog) write() {
	defer func() {
		_ = recover() // a handler's panic: there is nowhere to tell it
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.writing = len(l.waiting)+l.lost > 0; l.writing {
			go l.write()
		}
	}()
	m := l.next()
	l.to.Log(context.Background(), m.level, m.text, m.args...)
}

func (l *gateLog) next() (m logMessage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) > 0 {
		m, l.waiting = l.waiting[0], l.waiting[1:]
		return m
	}
	m = logMessage{slog.LevelWarn, "nsgate: messages were not logged, because the logger hung", []any{"number", l.lost}}
	l.lost = 0
	return m
}
