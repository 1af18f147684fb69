//go:build linux && cgo

package chrooted_test

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/chrooted"
)

// What docs/migrating.md shows, word for word: the last test here compares them.

type Sandbox struct{ ID, LifecycleID, IP string }

// ---- before

type closingHandler struct {
	mu      sync.Mutex
	volumes map[string][]*chrooted.Chrooted
}

func (h *closingHandler) Mount(ctx context.Context, s *Sandbox, path string) (*chrooted.Chrooted, error) {
	c, err := chrooted.Chroot(ctx, path, chrooted.WithMetadata("sandbox", s.ID))
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.volumes[s.ID] = append(h.volumes[s.ID], c)
	return c, nil
}

func (h *closingHandler) OnNetworkRelease(ctx context.Context, s *Sandbox) {
	h.mu.Lock()
	volumes := h.volumes[s.ID]
	delete(h.volumes, s.ID)
	h.mu.Unlock()
	for _, c := range volumes {
		if err := c.Close(); err != nil {
			slog.WarnContext(ctx, "volume", "path", c.Root(), "error", err)
		}
	}
}

// ---- after the first step

type asyncHandler struct {
	mu      sync.Mutex
	volumes map[string][]*chrooted.Chrooted
}

func (h *asyncHandler) OnNetworkRelease(ctx context.Context, s *Sandbox) {
	h.mu.Lock()
	volumes := h.volumes[s.ID]
	delete(h.volumes, s.ID)
	h.mu.Unlock()
	for _, c := range volumes {
		if _, err := c.CloseAsync(); err != nil {
			slog.WarnContext(ctx, "volume", "path", c.Root(), "error", err)
		}
	}
}

// ---- after the second step

type attachingHandler struct{}

func (attachingHandler) Mount(ctx context.Context, s *nsgate.Sandbox[*Sandbox], path string) (*chrooted.Chrooted, error) {
	c, err := chrooted.Chroot(ctx, path, chrooted.WithMetadata("sandbox", s.ID()))
	if err != nil {
		return nil, err
	}
	if err := s.Attach(c.Underlying()); err != nil { // its network was released meanwhile
		c.CloseAsync()
		return nil, err
	}
	return c, nil
}

// setUp opens the map that the second step needs, of the gate that chrooted uses.
func setUp() (*nsgate.Map[*Sandbox], error) {
	gate, err := chrooted.DefaultGate()
	if err != nil {
		return nil, err
	}
	return nsgate.NewMap[*Sandbox](gate)
}

func shutDown(sandboxes *nsgate.Map[*Sandbox]) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := sandboxes.WaitLifecycles(ctx); err != nil {
		return err
	}
	if err := sandboxes.Close(); err != nil {
		return err
	}
	report, err := chrooted.CloseDefaultGate(ctx)
	slog.Info("volumes", "report", report)
	return err
}

// ----

func TestMigratingTheHandlers(t *testing.T) {
	ctx := context.Background()
	s := &Sandbox{ID: "sandbox", LifecycleID: "life"}
	closed := func(c *chrooted.Chrooted) {
		t.Helper()
		failsWith(t, second(c.Stat("/")), chrooted.ErrNamespaceClosed)
	}

	before := &closingHandler{volumes: make(map[string][]*chrooted.Chrooted)}
	c := get[*chrooted.Chrooted](t)(before.Mount(ctx, s, t.TempDir()))
	before.OnNetworkRelease(ctx, s)
	closed(c)

	c = get[*chrooted.Chrooted](t)(before.Mount(ctx, s, t.TempDir()))
	letGo := hang(t, c)
	first := &asyncHandler{volumes: before.volumes}
	first.OnNetworkRelease(ctx, s) // although it hangs
	closed(c)
	letGo()

	sandboxes := get[*nsgate.Map[*Sandbox]](t)(setUp())
	sandbox := get[*nsgate.Sandbox[*Sandbox]](t)(sandboxes.Register(s.ID, s.LifecycleID, s))
	get[bool](t)(sandbox.AssignNetwork(netip.MustParseAddr("10.0.0.2")))
	get[bool](t)(sandbox.MarkRunning(ctx))
	var after attachingHandler
	c = get[*chrooted.Chrooted](t)(after.Mount(ctx, sandbox, t.TempDir()))
	get[bool](t)(sandbox.MarkStopping(ctx))
	get[bool](t)(sandbox.NetworkReleased(ctx))
	closed(c)
	if _, err := after.Mount(ctx, sandbox, t.TempDir()); err == nil {
		t.Error("a volume was mounted after the end")
	}
	get[bool](t)(sandbox.MarkStopped(ctx))
	must(t, shutDown(sandboxes))
}

func TestWhatTheDocumentShowsIsCompiled(t *testing.T) {
	document := string(get[[]byte](t)(os.ReadFile("../../docs/migrating.md")))
	source := string(get[[]byte](t)(os.ReadFile("migrating_test.go"))) + string(get[[]byte](t)(os.ReadFile("migrating_map_test.go")))
	parts := strings.Split(document, "```go\n")
	if len(parts) < 5 {
		t.Fatalf("only %d snippets", len(parts)-1)
	}
	for _, part := range parts[1:] {
		snippet, _, _ := strings.Cut(part, "```")
		if !strings.Contains(source, snippet) {
			t.Errorf("this is not in the source:\n%s", snippet)
		}
	}
}
