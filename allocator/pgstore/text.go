package pgstore

import "strings"

// plain makes any text one that PostgreSQL takes: what it cannot store is not there
// either, so looking for it finds nothing instead of failing.
func plain(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// short is the beginning of a plain text, in at most that many bytes.
func short(s string, most int) string {
	if s = plain(s); len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return s
}
