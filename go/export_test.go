package nsgate

// Waits tells for how many tickets somebody waits.
func (g *Gate) Waits() int {
	g.events.mu.Lock()
	defer g.events.mu.Unlock()
	return len(g.events.waiters)
}

// HoldEvents keeps the gate's events from being read until they are let go.
func (g *Gate) HoldEvents() (letGo func()) {
	g.events.reading <- struct{}{}
	return func() { <-g.events.reading }
}
