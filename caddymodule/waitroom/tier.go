package waitroom

import "github.com/caddy-tickets/caddy-tickets/internal/place"

// tierNamed is the room's tier of a name.
func (h *Handler) tierNamed(name string) (place.Tier, bool) {
	c := h.room.Config()
	return c.TierNamed(name)
}
