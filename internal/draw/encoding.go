package draw

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// MaxRecord bounds a record, in bytes: everything in it is bounded, and this is ten times more.
const MaxRecord = 64 << 10

// Bytes is binary in a record, as lower-case hexadecimal.
type Bytes []byte

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It takes one spelling only,
// so that no byte of a record can be changed without changing what it says.
func (b *Bytes) UnmarshalText(text []byte) error {
	out, err := hex.AppendDecode(nil, text)
	if err != nil || !bytes.Equal(hex.AppendEncode(nil, out), text) {
		return fmt.Errorf("%.80q is not lower-case hexadecimal", text)
	}
	*b = out
	return nil
}

// String is the hash as it is written everywhere.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	var raw Bytes
	if err := raw.UnmarshalText(text); err != nil {
		return err
	}
	if len(raw) != len(h) {
		return fmt.Errorf("a hash has %d hexadecimal digits, not %d", hex.EncodedLen(len(h)), len(text))
	}
	copy(h[:], raw)
	return nil
}

// written is a Record without its methods.
type written Record

// MarshalJSON implements json.Marshaler: the record with its sum.
func (r Record) MarshalJSON() ([]byte, error) {
	sum, err := r.checksum()
	if err != nil {
		return nil, err
	}
	r.Sum = sum
	return json.Marshal(written(r))
}

// checksum is SHA-256 over the record as compact JSON, in its own order of keys,
// with nothing escaped that need not be, and without the sum. It tells of damage
// and of careless changes to what nothing else covers, such as a time. It is no
// proof against the operator, who can make it anew; everything else here is.
func (r Record) checksum() (Hash, error) {
	r.Sum = Hash{}
	var text bytes.Buffer
	plain := json.NewEncoder(&text)
	plain.SetEscapeHTML(false)
	if err := plain.Encode(written(r)); err != nil {
		return Hash{}, fmt.Errorf("writing the record: %w", err)
	}
	return sha256.Sum256(bytes.TrimSuffix(text.Bytes(), []byte("\n"))), nil
}

// ParseRecord reads a published record: one JSON object, no key that is not known.
func ParseRecord(text []byte) (Record, error) {
	if len(text) > MaxRecord {
		return Record{}, fmt.Errorf("a record has at most %d bytes, not %d", MaxRecord, len(text))
	}
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &version); err != nil { // or if anything stands behind it
		return Record{}, fmt.Errorf("not a record of a draw: %w", err)
	}
	if version.Version != Version {
		return Record{}, fmt.Errorf("a record of version %d: this program knows version %d", version.Version, Version)
	}
	var r Record
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&r); err != nil {
		return Record{}, fmt.Errorf("not a record of a draw: %w", err)
	}
	if r.Sum == (Hash{}) {
		return Record{}, errors.New("not a record of a draw: it has no sum")
	}
	return r, nil
}
