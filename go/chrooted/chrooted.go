package chrooted

import (
	"context"
	"path"
	"sync/atomic"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// Chrooted is a directory whose files can be used as if it were "/". All its methods may be called from
// any goroutine, any number at a time.
//
// [Chroot] makes one; the zero Chrooted has no methods but Root and Join.
//
// A *Chrooted may be compared and be a key of a map. It may be walked by package reflect, as by
// reflect.DeepEqual, while it is in use: it reaches nothing that changes. Two are deeply equal only if they
// are the same.
type Chrooted struct {
	// ActualRoot is the directory of the host, as it was given. It is for reading.
	ActualRoot string
	// Metadata is what [WithMetadata] set, nil if that was nothing. nsgate never looks at it.
	Metadata map[string]string

	// state is a function because reflect can't look into one.
	state func() *state
}

// state is what a Chrooted is, behind the function. Once the chroot is open, nothing here but inside and
// told is written.
type state struct {
	chroot   *nsgate.Chroot
	gate     *nsgate.Gate // nil: the default one
	options  nsgate.ChrootOptions
	patience time.Duration
	inside   threads
	told     atomic.Uint64 // the ticket that a Close has got
}

// Option sets something of a [Chrooted]. It is called before the directory is opened.
type Option func(*Chrooted)

// WithMetadata sets a key of the Metadata.
func WithMetadata(key, value string) Option {
	return func(c *Chrooted) {
		if c.Metadata == nil {
			c.Metadata = make(map[string]string)
		}
		c.Metadata[key] = value
	}
}

// DefaultCloseDeadline is how long [Chrooted.Close] waits if [WithCloseDeadline] doesn't say.
const DefaultCloseDeadline = 10 * time.Second

// WithCloseDeadline sets how long [Chrooted.Close] waits for the release. With 0 it doesn't wait.
func WithCloseDeadline(d time.Duration) Option {
	return func(c *Chrooted) { c.set(func(s *state) { s.patience = d }) }
}

// WithGate takes the chroot from a gate of the caller's, who also closes it, instead of the default one.
func WithGate(gate *nsgate.Gate) Option {
	return func(c *Chrooted) { c.set(func(s *state) { s.gate = gate }) }
}

// WithChrootOptions sets what the chroot allows.
func WithChrootOptions(options nsgate.ChrootOptions) Option {
	return func(c *Chrooted) { c.set(func(s *state) { s.options = options }) }
}

// set changes the state while there is no chroot yet.
func (c *Chrooted) set(change func(*state)) {
	if s := c.state(); s.chroot == nil {
		change(s)
	}
}

// Chroot opens the directory source, which is not written to. ctx is looked at once: there is nothing to
// wait for.
//
// The error is a *fs.PathError. nsgate.ErrFull: the gate has no place for the release.
func Chroot(ctx context.Context, source string, options ...Option) (*Chrooted, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &state{patience: DefaultCloseDeadline}
	c := &Chrooted{ActualRoot: source, state: func() *state { return s }}
	for _, option := range options {
		option(c)
	}
	gate := s.gate
	if gate == nil {
		var err error
		if gate, err = DefaultGate(); err != nil {
			return nil, err
		}
	}
	var err error
	if s.chroot, err = gate.OpenChroot(source, &s.options); err != nil {
		return nil, err
	}
	return c, nil
}

// Root returns ActualRoot.
func (c *Chrooted) Root() string { return c.ActualRoot }

// Join joins parts of a path of the chroot and cleans it. The result is absolute.
func (c *Chrooted) Join(parts ...string) string {
	joined := path.Join(parts...)
	if !path.IsAbs(joined) {
		joined = "/" + joined
	}
	return joined
}

// Underlying returns what the chroot is in package nsgate, to attach it to a sandbox, and for what isn't
// here. It is the same thing: releasing it closes c.
func (c *Chrooted) Underlying() *nsgate.Chroot { return c.state().chroot }
