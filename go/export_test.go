package nsgate

// Waits tells for how many tickets somebody waits.
func (g *Gate) Waits() int {
	g.events.mu.Lock()
	defer g.events.mu.Unlock()
	return len(g.events.waiters)
}
