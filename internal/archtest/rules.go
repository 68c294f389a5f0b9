// Package archtest holds the import rules of this module, as a test:
//
//	cmd ──► caddymodule, allocator, migrations, web ──► internal
//
// internal, allocator, migrations and web know nothing of Caddy, so that the
// queue and the seat rules are tested without a server and can be used without
// one. PostgreSQL is spoken in two places. waitroom and botguard meet only in
// request variables, so that each works without the other.
//
// Nothing imports this package.
package archtest

import (
	"fmt"
	"slices"
	"strings"
)

const (
	module = "github.com/caddy-tickets/caddy-tickets"
	caddy  = "github.com/caddyserver/caddy"
	pgx    = "github.com/jackc/pgx"
)

// Package is what `go list -json` says about one of our packages.
type Package struct {
	ImportPath   string
	Imports      []string // of its own files
	TestImports  []string // of its tests in the package
	XTestImports []string // of its tests outside the package
	Deps         []string // everything below Imports
}

// rule forbids some packages to import others.
type rule struct {
	why string
	// from and to are folders of the module, or import paths of others for to. A
	// folder means everything in it.
	from, to []string
	except   []string // folders in from that may
	tests    bool     // tests too
	deep     bool     // also through other packages
}

var rules = []rule{
	{
		why:  "the cores are used and tested without Caddy",
		from: []string{"internal", "allocator", "migrations", "web"}, to: []string{caddy},
		tests: true, deep: true,
	},
	{
		why:  "PostgreSQL is spoken in the store and the migrations only",
		from: []string{""}, to: []string{pgx}, except: []string{"allocator/pgstore", "migrations"},
		tests: true,
	},
	{
		why:  "internal is the bottom: nothing of ours lies below it",
		from: []string{"internal"}, to: []string{"cmd", "caddymodule", "allocator", "migrations", "web"},
		deep: true,
	},
	{
		why:  "the edge and the allocator are deployed apart and meet over HTTP",
		from: []string{"caddymodule"}, to: []string{"allocator", "migrations"}, deep: true,
	},
	{
		why:  "the edge and the allocator are deployed apart and meet over HTTP",
		from: []string{"allocator", "migrations", "web"}, to: []string{"caddymodule"}, deep: true,
	},
	{
		why:  "commands are the top",
		from: []string{"caddymodule", "allocator", "migrations", "web", "internal"}, to: []string{"cmd"},
		tests: true,
	},
	{
		why:  "either directive works without the other",
		from: []string{"caddymodule/waitroom"}, to: []string{"caddymodule/botguard"}, deep: true,
	},
	{
		why:  "either directive works without the other",
		from: []string{"caddymodule/botguard"}, to: []string{"caddymodule/waitroom"}, deep: true,
	},
	{
		why:  "what serves fans starts no servers of its own",
		from: []string{"caddymodule", "allocator", "migrations", "web", "internal"}, to: []string{"internal/devstack"},
		deep: true,
	},
	{
		why:  "it is for tests only",
		from: []string{""}, to: harnesses, except: harnesses, deep: true,
	},
}

// harnesses are the packages that only tests import.
var harnesses = []string{"internal/browsertest", "internal/eventually", "caddymodule/caddytest"}

// Violations lists every import that a rule forbids, as sentences.
func Violations(packages []Package) []string {
	var found []string
	for _, p := range packages {
		for _, r := range rules {
			if !under(p.ImportPath, r.from) || under(p.ImportPath, r.except) {
				continue
			}
			for _, imported := range r.looksAt(p) {
				if imported != p.ImportPath && under(imported, r.to) {
					found = append(found, fmt.Sprintf("%s imports %s: %s", p.ImportPath, imported, r.why))
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (r rule) looksAt(p Package) []string {
	imports := slices.Clone(p.Imports)
	if r.tests {
		imports = slices.Concat(imports, p.TestImports, p.XTestImports)
	}
	if r.deep {
		imports = append(imports, p.Deps...)
	}
	return imports
}

// under says whether an import path is one of the folders or below one.
func under(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		full := folder
		switch {
		case folder == "":
			full = module
		case !strings.Contains(strings.SplitN(folder, "/", 2)[0], "."):
			full = module + "/" + folder
		}
		return path == full || strings.HasPrefix(path, full+"/")
	})
}
