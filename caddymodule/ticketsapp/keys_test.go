package ticketsapp_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Two edges that share a folder, or Caddy's storage, know each other's places and
// passes; a third with keys of its own knows neither.
func TestEdgesThatShareTheKeysKnowEachOthersPlacesAndPasses(t *testing.T) {
	e := newEdge(t)
	storage := t.TempDir()
	inFolder := e.usual("1/s")
	inStorage := strings.Replace(e.caddyfile("redis "+e.redis.URL(), "waitroom arena {\nadmit 1/s\n}"), "{\n", "{\nstorage file_system "+storage+"\n", 1)
	elsewhere := e.caddyfile("redis "+e.redis.URL()+"\nkeys "+t.TempDir(), "waitroom arena {\nadmit 1/s\n}")
	for name, config := range map[string]string{"a folder": inFolder, "Caddy's storage": inStorage} {
		first := e.load(config)
		tok := place.Token{Visitor: place.Visitor{1}, Score: 5}
		sealed := first.Places().Seal("arena", tok)
		signed, err := first.Signer().Sign(pass.Claims{Room: "arena", Visitor: "v", ID: "1", IssuedAt: time.Now(), Expires: time.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		if err := caddy.Stop(); err != nil { // another process, later
			t.Fatal(err)
		}
		second := e.load(config)
		if got, err := second.Places().Open("arena", sealed); err != nil || got != tok {
			t.Errorf("%s: the place: %v", name, err)
		}
		if _, err := second.Verifier().Verify(signed, "arena"); err != nil {
			t.Errorf("%s: the pass: %v", name, err)
		}
		if string(first.Secret("x")) != string(second.Secret("x")) || string(first.Secret("x")) == string(first.Secret("y")) {
			t.Errorf("%s: secrets of a purpose are not one and apart from others", name)
		}
		third := e.load(elsewhere)
		if _, err := third.Places().Open("arena", sealed); err == nil {
			t.Errorf("%s: a stranger opens the place", name)
		}
		if _, err := third.Verifier().Verify(signed, "arena"); err == nil {
			t.Errorf("%s: a stranger takes the pass", name)
		}
	}
}

// Damaged keys are never replaced: every place and pass in the world would be void.
func TestDamagedKeysAreRefusedAndLeftAlone(t *testing.T) {
	e := newEdge(t)
	e.load(e.usual("1/s"))
	file := filepath.Join(e.keys, "tickets", "keys.json")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the keys: %v %v", info.Mode(), err)
	}
	master := strings.SplitN(string(good), `"`, 5)[3]
	for name, bad := range map[string]string{
		"a master cut off": strings.Replace(string(good), master, master[:20], 1),
		"empty":            "", "cut off": string(good[:len(good)/2]), "no JSON": "keys", "without a master": `{"pass":{}}`,
		"a short master": `{"master":"AAAA","pass":{}}`, "without a ring": strings.Replace(string(good), `"pass"`, `"path"`, 1),
		"a list": "[]", "null": "null",
	} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		err := caddytest.Load(e.usual("2/s"))
		if err == nil {
			t.Fatalf("%s: it loads", name)
		}
		if strings.Contains(err.Error(), master[:20]) {
			t.Errorf("%s: the error tells a secret", name)
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != bad {
			t.Errorf("%s: the file was changed: %v", name, err)
		}
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	e.load(e.usual("3/s"))
}
