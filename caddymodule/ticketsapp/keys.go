package ticketsapp

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

const (
	// keysFile holds everything that must be the same on every edge of a fleet.
	keysFile = "tickets/keys.json"
	// masterLength is in bytes: HKDF keys with the strength of SHA-256.
	masterLength = 32
	// placeKeyID tells place tokens of this master key from those of a later one.
	placeKeyID = 1
	// makingKeys bounds the wait for another edge that makes the keys right now.
	makingKeys = 10 * time.Second
)

// keys are the secrets of a fleet. They are made once, by whichever edge starts
// first, and shared by every edge that has the same storage.
type keys struct {
	master []byte
	ring   *pass.KeyRing
}

// storedKeys is their form in storage.
type storedKeys struct {
	Master []byte          `json:"master"`
	Pass   json.RawMessage `json:"pass"`
}

// storage is where the keys are kept.
func (a *App) storage(ctx caddy.Context, folder string) (certmagic.Storage, error) {
	if folder == "" {
		return ctx.Storage(), nil
	}
	return &certmagic.FileStorage{Path: folder}, nil
}

// loadKeys reads the keys, or makes them under the storage's lock, so that two
// edges that start together end up with the same.
func loadKeys(ctx context.Context, store certmagic.Storage) (*keys, error) {
	if k, err := readKeys(ctx, store); !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	ctx, cancel := context.WithTimeout(ctx, makingKeys)
	defer cancel()
	if err := store.Lock(ctx, keysFile); err != nil {
		return nil, fmt.Errorf("locking the key storage: %w", err)
	}
	defer func() { _ = store.Unlock(context.WithoutCancel(ctx), keysFile) }() // it also ends by itself
	if k, err := readKeys(ctx, store); !errors.Is(err, fs.ErrNotExist) {
		return k, err // another edge was faster
	}
	k, err := newKeys()
	if err != nil {
		return nil, err
	}
	if err := k.write(ctx, store); err != nil {
		return nil, err
	}
	return k, nil
}

func readKeys(ctx context.Context, store certmagic.Storage) (*keys, error) {
	raw, err := store.Load(ctx, keysFile)
	if err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	var doc storedKeys
	if json.Unmarshal(raw, &doc) != nil || len(doc.Master) != masterLength {
		// Never replaced by new ones: every place and pass in the world would be void.
		return nil, fmt.Errorf("reading the keys: %s in the storage is damaged; restore it from a backup, or remove it to start over with new keys, which ends every place and pass", keysFile)
	}
	ring, err := pass.ParseKeyRing(doc.Pass)
	if err != nil {
		return nil, err
	}
	return &keys{master: doc.Master, ring: ring}, nil
}

func newKeys() (*keys, error) {
	master := make([]byte, masterLength)
	rand.Read(master) //nolint:errcheck // crypto/rand.Read never fails: it ends the process instead
	ring, err := pass.NewKeyRing(rand.Reader, time.Now())
	if err != nil {
		return nil, err
	}
	return &keys{master: master, ring: ring}, nil
}

func (k *keys) write(ctx context.Context, store certmagic.Storage) error {
	ring, err := k.ring.Marshal()
	if err != nil {
		return fmt.Errorf("writing the keys: %w", err)
	}
	raw, err := json.Marshal(storedKeys{Master: k.master, Pass: ring})
	if err != nil {
		return fmt.Errorf("writing the keys: %w", err)
	}
	if err := store.Store(ctx, keysFile, raw); err != nil {
		return fmt.Errorf("writing the keys: %w", err)
	}
	return nil
}

// derive is HKDF-SHA256 (RFC 5869) of the master key for a purpose.
func (k *keys) derive(purpose string) []byte {
	out, err := hkdf.Key(sha256.New, k.master, nil, "caddy-tickets "+purpose, masterLength)
	if err != nil { // lengths are constants of ours, far below HKDF's limit
		panic("ticketsapp: deriving a key: " + err.Error())
	}
	return out
}

func (k *keys) place() place.Key {
	return place.Key{ID: placeKeyID, Secret: [masterLength]byte(k.derive("place"))}
}
