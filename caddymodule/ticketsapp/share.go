package ticketsapp

// Share keeps what the directives of one room have in common in this config and no
// room can keep, such as loaded matchers. The first value stays: those after it come
// of the same settings, or the config does not load.
func (a *App) Share(room string, value any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if u := a.rooms[room]; u != nil && u.common == nil {
		u.common = value
	}
}

// Shared is what was given to Share, nil if nothing. It does not change once the
// config has started.
func (a *App) Shared(room string) any {
	a.mu.Lock()
	defer a.mu.Unlock()
	if u := a.rooms[room]; u != nil {
		return u.common
	}
	return nil
}
