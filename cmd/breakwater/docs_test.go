package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/breakwater-llm/breakwater/internal/config"
	"github.com/breakwater-llm/breakwater/internal/testenv"
)

// page is a page of the documentation.
type page struct{ path, text string }

// pages are all of the repository's own.
func pages(t *testing.T) []page {
	t.Helper()
	root := testenv.Root(t)
	var out []page
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		b, err := os.ReadFile(path)
		out = append(out, page{path, string(b)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("found %d pages under %s; the test looks in the wrong place", len(out), root)
	}
	return out
}

var (
	link  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")
	head  = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// TestDocLinks follows every link between pages, to the heading if it names one.
func TestDocLinks(t *testing.T) {
	for _, p := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(p.text, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := p.path
			if file != "" {
				target = filepath.Join(filepath.Dir(p.path), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: link to %s: %v", p.path, m[1], err)
				continue
			}
			if anchor == "" {
				continue
			}
			if b, err := os.ReadFile(target); err != nil || !hasHeading(string(b), anchor) {
				t.Errorf("%s: link to %s: no such heading", p.path, m[1])
			}
		}
	}
}

// hasHeading looks for the heading that a site such as GitHub gives the anchor.
func hasHeading(text, anchor string) bool {
	for _, m := range head.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', r >= '0' && r <= '9', r >= 'a' && r <= 'z':
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		if slug == anchor {
			return true
		}
	}
	return false
}

// TestDocConfigurations parses every configuration that a page shows.
func TestDocConfigurations(t *testing.T) {
	n := 0
	for _, p := range pages(t) {
		for _, m := range fence.FindAllStringSubmatch(p.text, -1) {
			if m[1] != "yaml" || !strings.HasPrefix(m[2], "providers:") && !strings.Contains(m[2], "\nproviders:") {
				continue
			}
			n++
			if _, _, err := config.Parse(filepath.Base(p.path), []byte(m[2]), config.LoadOptions{}); err != nil {
				t.Errorf("%s: %v", p.path, err)
			}
		}
	}
	if n < 4 {
		t.Errorf("found %d configurations in the documentation; the test looks in the wrong place", n)
	}
}

// TestDocCommands parses every breakwater command line that a page shows.
func TestDocCommands(t *testing.T) {
	n := 0
	for _, p := range pages(t) {
		for _, m := range fence.FindAllStringSubmatch(p.text, -1) {
			if m[1] != "sh" && m[1] != "console" {
				continue
			}
			for line := range strings.Lines(m[2]) {
				args, ok := commandLine(line)
				if !ok {
					continue
				}
				n++
				if err := parses(args); err != nil {
					t.Errorf("%s: %s\t%v", p.path, line, err)
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("found %d commands in the documentation; the test looks in the wrong place", n)
	}
}

// word is a shell word, quoted or not.
var word = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)

// commandLine takes the arguments of breakwater out of a line of shell: behind a prompt, variables
// or a pipe, and up to a comment, a pipe, a redirection or another command.
func commandLine(line string) (args []string, ok bool) {
	for _, w := range word.FindAllString(line, -1) {
		switch {
		case !ok:
			ok = w == "breakwater"
		case strings.HasPrefix(w, "#"), strings.ContainsAny(w, "|&;") && !strings.ContainsAny(w, `'"`), strings.Contains(w, ">") && w[0] != '\'':
			return args, true
		default:
			args = append(args, strings.Trim(w, `'"`))
		}
	}
	return args, ok
}

func parses(args []string) error {
	var c cli
	parser, err := kong.New(&c, kong.Name("breakwater"), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}))
	if err != nil {
		return err
	}
	_, err = parser.Parse(args)
	return err
}
