// Package testenv finds what tests need from outside the repository: recorded
// traffic and labelled data in the folder "shared" beside the checkout, and
// programs. Where something is absent the test is skipped with a message that says
// so; with REQUIRE_ALL=1 in the environment, as in CI, it fails.
package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Missing skips the test, or fails it where everything is required.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("REQUIRE_ALL=1: "+format, args...)
	}
	t.Skipf(format, args...)
}

// Root is the repository's root.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "LICENSE")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("the repository's root is not above the test")
		}
		dir = parent
	}
}

// Shared is the path of something in the folder "shared" beside the repository.
func Shared(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{filepath.Dir(Root(t)), "shared"}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		Missing(t, "needs %s in the folder \"shared\" beside the repository", filepath.Join(elem...))
	}
	return path
}

// Program is the path of an installed program.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, "needs the program %s", name)
	}
	return path
}
