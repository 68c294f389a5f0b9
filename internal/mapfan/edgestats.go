package mapfan

// EdgeStats are the figures of an edge, for metrics.
type EdgeStats struct {
	Stats
	Events     int    // that are followed
	Connected  int    // of these, how many have a connection
	Reconnects uint64 // connections that were lost and tried again
}

// Stats are the figures of all events together.
func (f *Followers) Stats() EdgeStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := EdgeStats{Stats: f.gone, Events: len(f.events), Reconnects: f.reconnects}
	for _, one := range f.events {
		s := one.channel.Stats()
		sum.Viewers += s.Viewers
		sum.Refused += s.Refused
		sum.Slow += s.Slow
		if one.linked {
			sum.Connected++
		}
	}
	return sum
}
