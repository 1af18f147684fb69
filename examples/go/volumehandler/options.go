package volumehandler

import (
	"log/slog"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
)

// Options set limits. Zero values are replaced by the defaults.
type Options struct {
	MountsPerLife      int           // volumes that are mounted at a time; 32
	ConnectionsPerLife int           // at a time; 16
	HandlesPerMount    int           // file handles that are remembered, the oldest are STALE; 65,536
	MaxRequest         int           // bytes of one request, more ends the connection; 4 MiB
	Linger             time.Duration // how long a released life's connections answer STALE; 10 s
	Chroot             nsgate.ChrootOptions
	Log                *slog.Logger // slog.Default()
}

func (o Options) withDefaults() Options {
	set(&o.MountsPerLife, 32)
	set(&o.ConnectionsPerLife, 16)
	set(&o.HandlesPerMount, 1<<16)
	set(&o.MaxRequest, 4<<20)
	set(&o.Linger, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

func set[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
