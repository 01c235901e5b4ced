package secret_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/secret"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		in, scheme, name string
		literal          bool
		err              string // part of the message; "" for none
	}{
		{in: "env://OPENAI_API_KEY", scheme: "env", name: "OPENAI_API_KEY"},
		{in: "file:///run/secrets/key", scheme: "file", name: "/run/secrets/key"},
		{in: "aws-sm://prod/llm#anthropic", scheme: "aws-sm", name: "prod/llm#anthropic"},
		{in: "vault://kv/llm#key", scheme: "vault", name: "kv/llm#key"},
		{in: "gcp-sm://proj/name/3", scheme: "gcp-sm", name: "proj/name/3"},
		{in: "azure-kv://vault/name", scheme: "azure-kv", name: "vault/name"},
		{in: "sk-abc", literal: true},
		{in: "a:b//c", literal: true},
		{in: "://x", literal: true},
		{in: "9x://x", literal: true},
		{in: "", err: "empty"},
		{in: " \t", err: "empty"},
		{in: "[secret]", err: "mask"},
		{in: "env://", err: "name of an environment variable"},
		{in: "env://A=B", err: "name of an environment variable"},
		{in: "env://A B", err: "name of an environment variable"},
		{in: "file://relative/path", err: "absolute path"},
		{in: "file:///a\x00b", err: "absolute path"},
		{in: "vault://", err: "name of a secret"},
		{in: "evn://KEY", err: "unknown kind of reference"},
		{in: "ENV://KEY", err: "unknown kind of reference"},
		{in: "https://example.com/" + canary, err: "unknown kind of reference"},
		{in: "${env:KEY}", err: "env://NAME"},
		{in: "$KEY", err: "env://NAME"},
	} {
		r, err := secret.Parse(tc.in)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("Parse(%q): error %v, want %q", tc.in, err, tc.err)
			} else if strings.Contains(err.Error(), canary) {
				t.Errorf("Parse(%q) repeats its text: %v", tc.in, err)
			}
			continue
		}
		if err != nil || r.Scheme != tc.scheme || r.Name != tc.name || r.Literal != tc.literal || r.IsZero() {
			t.Errorf("Parse(%q) = %+v, %v", tc.in, r, err)
		}
		want := tc.in
		if tc.literal {
			want = secret.Mask
		}
		if r.String() != want {
			t.Errorf("Parse(%q) prints %q", tc.in, r)
		}
	}
}

func TestResolve(t *testing.T) {
	env := map[string]string{"KEY": canary, "EMPTY": "", "BLANK": " \n", "NL": canary + "\n"}
	files := map[string]string{
		"/k": canary, "/nl": canary + "\n", "/crlf": canary + "\r\n", "/nl2": canary + "\n\n",
		"/empty": "", "/onlynl": "\n", "/big": strings.Repeat("x", 1<<20+1),
	}
	r := secret.NewResolver(secret.Options{
		Getenv: func(n string) (string, bool) { s, ok := env[n]; return s, ok },
		ReadFile: func(p string) ([]byte, error) {
			if s, ok := files[p]; ok {
				return []byte(s), nil
			}
			return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
		},
	})
	for _, tc := range []struct {
		ref, want, err string
	}{
		{ref: "env://KEY", want: canary},
		{ref: "env://NL", want: canary + "\n"}, // only files end in a newline by habit
		{ref: "literal-" + canary, want: "literal-" + canary},
		{ref: "file:///k", want: canary},
		{ref: "file:///nl", want: canary},
		{ref: "file:///crlf", want: canary},
		{ref: "file:///nl2", want: canary + "\n"},
		{ref: "env://MISSING", err: "env://MISSING: the environment variable MISSING is not set"},
		{ref: "env://EMPTY", err: "env://EMPTY: the secret is empty"},
		{ref: "env://BLANK", err: "env://BLANK: the secret is empty"},
		{ref: "file:///empty", err: "file:///empty: the secret is empty"},
		{ref: "file:///onlynl", err: "file:///onlynl: the secret is empty"},
		{ref: "file:///none", err: "file:///none: file does not exist"},
		{ref: "file:///big", err: "file:///big: the file is over 1 MiB"},
		{ref: "vault://kv/x", err: "vault://kv/x: this build reads env:// and file://"},
	} {
		ref, err := secret.Parse(tc.ref)
		if err != nil {
			t.Fatal(err)
		}
		v, err := r.Resolve(ref)
		switch {
		case tc.err != "":
			if err == nil || err.Error() != tc.err {
				t.Errorf("%s: error %v, want %q", tc.ref, err, tc.err)
			}
			if !v.IsZero() {
				t.Errorf("%s: a value with an error", tc.ref)
			}
		case err != nil || v.Reveal() != tc.want:
			t.Errorf("%s: %q, %v", tc.ref, v.Reveal(), err)
		}
	}
	ref, _ := secret.Parse("aws-sm://x")
	if _, err := r.Resolve(ref); !errors.Is(err, secret.ErrUnsupported) {
		t.Errorf("aws-sm: %v", err)
	}
	if _, err := r.Resolve(secret.Ref{}); err == nil {
		t.Error("the zero reference resolves")
	}
	ref, _ = secret.Parse("file:///none")
	if _, err := r.Resolve(ref); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestResolveFromTheProcess(t *testing.T) {
	t.Setenv("BREAKWATER_TEST_SECRET", canary)
	path := t.TempDir() + "/key"
	writeFile(t, path, canary+"\n")
	r := secret.NewResolver(secret.Options{})
	for _, text := range []string{"env://BREAKWATER_TEST_SECRET", "file://" + path} {
		ref, err := secret.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := r.Resolve(ref); err != nil || v.Reveal() != canary {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"env://A", "file:///x", "vault://a/b#c", "sk-1", "", "$X", "a://"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := secret.Parse(s)
		if err != nil {
			return
		}
		if !r.Literal {
			if again, err := secret.Parse(r.String()); err != nil || again.String() != s {
				t.Fatalf("%q prints as %q, which reads as %v, %v", s, r, again, err)
			}
			return
		}
		if v, err := secret.NewResolver(secret.Options{}).Resolve(r); err != nil || v.Reveal() != s {
			t.Fatalf("literal %q: %v", s, err)
		}
	})
}
