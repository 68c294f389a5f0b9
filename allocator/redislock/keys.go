package redislock

import "github.com/caddy-tickets/caddy-tickets/allocator"

// prefix starts every key of an event. The braces are Redis Cluster's hash
// tag: one event lives in one slot.
func prefix(slug string) string { return "tickets:{e:" + slug + "}:" }

func metaKey(slug string) string       { return prefix(slug) + "meta" }
func logKey(slug string) string        { return prefix(slug) + "log" }
func cellKey(slug, cell string) string { return prefix(slug) + "c:" + cell }
func holdKey(slug, id string) string   { return prefix(slug) + "h:" + id }

func holdKeys(e *allocator.Event, id string) []string {
	return []string{metaKey(e.Slug), holdKey(e.Slug, id)}
}
