package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports,Deps", module+"/...")
	var failure strings.Builder
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v: %s", err, failure.String())
	}
	var packages []Package
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p Package
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 5 {
		t.Fatalf("only %d packages were listed", len(packages))
	}
	for _, violation := range Violations(packages) {
		t.Error(violation)
	}
}

func TestEachForbiddenImportIsFound(t *testing.T) {
	t.Parallel()
	cases := map[string]Package{
		"the core knows Caddy":             {ImportPath: module + "/internal/queue", Imports: []string{caddy + "/v2"}},
		"the core knows Caddy indirectly":  {ImportPath: module + "/internal/queue", Deps: []string{caddy + "/v2/modules/caddyhttp"}},
		"a test of the core knows Caddy":   {ImportPath: module + "/internal/queue", XTestImports: []string{caddy + "/v2"}},
		"the allocator knows Caddy":        {ImportPath: module + "/allocator/httpapi", Imports: []string{caddy + "/v2"}},
		"a command speaks SQL":             {ImportPath: module + "/cmd/caddy-tickets", Imports: []string{pgx + "/v5/pgxpool"}},
		"a benchmark speaks SQL":           {ImportPath: module + "/bench", TestImports: []string{pgx + "/v5"}},
		"internal reaches up":              {ImportPath: module + "/internal/room", Imports: []string{module + "/caddymodule/waitroom"}},
		"the edge links the allocator":     {ImportPath: module + "/caddymodule/seatmap", Imports: []string{module + "/allocator/livemap"}},
		"the allocator links the edge":     {ImportPath: module + "/allocator/httpapi", Deps: []string{module + "/caddymodule/ticketsapp"}},
		"waitroom knows botguard":          {ImportPath: module + "/caddymodule/waitroom", Imports: []string{module + "/caddymodule/botguard"}},
		"botguard knows waitroom":          {ImportPath: module + "/caddymodule/botguard", Deps: []string{module + "/caddymodule/waitroom"}},
		"an edge runs what is for tests":   {ImportPath: module + "/caddymodule/waitroom", Imports: []string{module + "/caddymodule/caddytest"}},
		"a command waits as tests do":      {ImportPath: module + "/cmd/caddy-tickets", Deps: []string{module + "/internal/eventually"}},
		"the allocator starts its servers": {ImportPath: module + "/allocator/httpapi", Imports: []string{module + "/internal/devstack"}},
	}
	for name, p := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if len(Violations([]Package{p})) == 0 {
				t.Errorf("nothing was found in %+v", p)
			}
		})
	}
}

func TestAllowedImportsAreLeftAlone(t *testing.T) {
	t.Parallel()
	allowed := []Package{
		{ImportPath: module + "/allocator/pgstore", Imports: []string{pgx + "/v5/pgxpool", module + "/allocator"}},
		{ImportPath: module + "/caddymodule/waitroom", Imports: []string{caddy + "/v2", module + "/internal/queue"}},
		{ImportPath: module + "/cmd/caddy-tickets", Imports: []string{caddy + "/v2/cmd", module + "/allocator"}},
		{ImportPath: module + "/caddymodule/waitroom", TestImports: []string{module + "/caddymodule/caddytest"}},
		{ImportPath: module + "/internal/browsertest", Imports: []string{module + "/internal/eventually"}},
		{ImportPath: module + "/internal/queue", XTestImports: []string{module + "/internal/devstack"}},
	}
	for _, violation := range Violations(allowed) {
		t.Error(violation)
	}
}
