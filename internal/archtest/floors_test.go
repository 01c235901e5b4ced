// Package archtest holds the floors of the program: a package imports lower
// floors only, and never a sibling of its own floor.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/breakwater-llm/breakwater"

// floors lists every package from the ground up. Packages of one line stand on one
// floor and do not know each other.
var floors = [][]string{
	{"llm"},
	{"internal/wire/jsondoc", "internal/wire/sse", "internal/secret", "internal/testenv"},
	{"internal/testkit"},
	{"internal/wire"},
	{"internal/wire/openai", "internal/wire/anthropic"},
	{"internal/pipeline"},
	{"internal/sim", "internal/upstream/h1"},
	{"internal/upstream"},
	{"internal/upstream/openai", "internal/upstream/anthropic", "internal/observe", "internal/admit"},
	{"internal/upstream/mock", "internal/upstream/upstreamtest"},
	{"internal/route", "internal/server"},
	{"internal/config"},
	{"."},
	{"breakwatertest"},
	{"cmd/breakwater"},
}

// bans are imports that need a reason to be anywhere but in the named packages.
var bans = []struct {
	path string
	only []string
	why  string
}{
	{"net/http/httputil", []string{"bench/gateway"}, "a reverse proxy is what the gateway is measured against, not what it is made of"},
	{"encoding/json", []string{".", "llm", "internal/wire/", "internal/server", "internal/observe", "internal/config", "internal/secret", "internal/sim", "breakwatertest", "cmd/breakwater", "bench/", "scripts/", "internal/testkit"}, "bodies are read by jsondoc, which is strict"},
	{"log", []string{"cmd/breakwater"}, "log/slog is the logger; the command turns what libraries print into its lines"},
	{"math/rand", nil, "math/rand/v2 is the random source"},
}

func TestFloors(t *testing.T) {
	root := repoRoot(t)
	level := map[string]int{}
	for i, names := range floors {
		for _, n := range names {
			level[n] = i
		}
	}
	for pkg, imports := range packages(t, root) {
		at, known := level[pkg]
		if !known {
			if !strings.HasPrefix(pkg, "internal/archtest") && !standsAside(pkg) {
				t.Errorf("package %s stands on no floor; give it one in floors", pkg)
			}
			continue
		}
		for _, imp := range imports {
			rel, ours := relative(imp)
			if !ours {
				continue
			}
			below, ok := level[rel]
			if !ok {
				t.Errorf("%s imports %s, which stands on no floor", pkg, rel)
			} else if below >= at {
				t.Errorf("%s (floor %d) imports %s (floor %d): dependencies point down", pkg, at, rel, below)
			}
		}
	}
}

func TestBans(t *testing.T) {
	for pkg, imports := range packages(t, repoRoot(t)) {
		for _, ban := range bans {
			allowed := slices.ContainsFunc(ban.only, func(p string) bool {
				return p == pkg || strings.HasSuffix(p, "/") && strings.HasPrefix(pkg+"/", p)
			})
			if slices.Contains(imports, ban.path) && !allowed {
				t.Errorf("%s imports %s: %s", pkg, ban.path, ban.why)
			}
		}
	}
}

// standsAside are programs and tests that may use anything.
func standsAside(pkg string) bool {
	return strings.HasPrefix(pkg, "bench/") || strings.HasPrefix(pkg, "scripts/") || strings.HasPrefix(pkg, "e2e") || strings.HasPrefix(pkg, "examples/")
}

func relative(imp string) (string, bool) {
	if imp == module {
		return ".", true
	}
	return strings.CutPrefix(imp, module+"/")
}

// packages maps each package's folder to what its files other than tests import.
func packages(t *testing.T, root string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != root {
				return filepath.SkipDir // a module of its own
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg, _ := filepath.Rel(root, filepath.Dir(path))
		pkg = filepath.ToSlash(pkg)
		for _, spec := range f.Imports {
			imp, _ := strconv.Unquote(spec.Path.Value)
			out[pkg] = append(out[pkg], imp)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 5 {
		t.Fatalf("found %d packages under %s; the test looks in the wrong place", len(out), root)
	}
	return out
}

func repoRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}
