package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/secret"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const printable = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+/=.:&%<>\"\\ ?#"

func randomText(r *rand.Rand, n int, alphabet string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

// encodings are written apart from the package's own list, so that a form
// forgotten there is found here.
func encodings(s string) map[string]string {
	j, _ := json.Marshal(s)
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)
	return map[string]string{
		"base64 std": base64.StdEncoding.EncodeToString([]byte(s)), "base64 raw": base64.RawStdEncoding.EncodeToString([]byte(s)),
		"base64 url": base64.URLEncoding.EncodeToString([]byte(s)), "base64 raw url": base64.RawURLEncoding.EncodeToString([]byte(s)),
		"hex": hex.EncodeToString([]byte(s)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(s))),
		"query": url.QueryEscape(s), "path": url.PathEscape(s), "query value": url.Values{"": {s}}.Encode()[1:],
		"json": string(j[1 : len(j)-1]), "json plain": strings.Trim(strings.TrimSpace(buf.String()), `"`),
	}
}

func TestScrubRandomSecrets(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 8 + r.IntN(90)
		s := randomText(r, n, printable)
		sc := secret.NewScrubber(secret.New("another-secret-entirely"), secret.New(s))
		// Filler with none of the secret's characters, so that only a leak can leave them.
		fill := func() string { return strings.Repeat("~", r.IntN(30)) }

		check := func(what, form string, gram int) {
			t.Helper()
			// Whole, and every cut that leaves a piece long enough.
			for range 20 {
				from, to := 0, len(form)
				if r.IntN(4) > 0 && len(form) > gram {
					from = r.IntN(len(form) - gram + 1)
					to = from + gram + r.IntN(len(form)-from-gram+1)
				}
				if to-from < gram && to-from < len(form) {
					continue
				}
				text := fill() + form[from:to] + fill()
				got := sc.Scrub(text)
				if strings.Trim(got, "~*") != "" {
					t.Fatalf("secret %q, %s [%d:%d]: %q became %q", s, what, from, to, text, got)
				}
				if b := sc.ScrubBytes([]byte(text)); string(b) != got {
					t.Fatalf("ScrubBytes %q, Scrub %q", b, got)
				}
			}
		}
		check("plain", s, 8)
		for what, form := range encodings(s) {
			check(what, form, 12)
		}
	}
}

// A secret inside a longer text that is encoded as a whole: Basic credentials.
func TestScrubInsideBase64(t *testing.T) {
	s := "sk-live-0123456789abcdefghij"
	sc := secret.NewScrubber(secret.New(s))
	for _, prefix := range []string{"", "u", "us", "use", "user:"} {
		for name, enc := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.RawURLEncoding} {
			coded := enc.EncodeToString([]byte(prefix + s + "|tail"))
			got := sc.Scrub(coded)
			// What is left is the prefix or the tail with at most two bytes of the
			// secret in the same group: 7 bytes, 12 characters.
			for _, piece := range strings.Split(got, "***") {
				if len(piece) > 12 {
					t.Errorf("%s with prefix %q: %q became %q", name, prefix, coded, got)
				}
			}
		}
	}
}

func TestScrub(t *testing.T) {
	for _, tc := range []struct {
		name, text, want string
		secrets          []string
	}{
		{"nothing to do", "a clean text", "a clean text", []string{canary}},
		{"no secrets", "a clean text", "a clean text", nil},
		{"empty text", "", "", []string{canary}},
		{"openai's echo", "Incorrect API key provided: " + canary + ". You can", "Incorrect API key provided: ***. You can", []string{canary}},
		{"twice", canary + " and " + canary, "*** and ***", []string{canary}},
		{"side by side", canary + canary, "***", []string{canary}},
		{"two secrets", "a=" + canary + " b=second-secret-here", "a=*** b=***", []string{canary, "second-secret-here"}},
		{"one inside the other", "x long-secret-long y", "x *** y", []string{"long-secret", "long-secret-long"}},
		{"partly masked by the provider", "sk-abcd****wxyz", "sk-abcd****wxyz", []string{"sk-abcdefghijklmnopqrstuvwxyz"}},
		{"eight characters of it", "key " + canary[:8] + "...", "key ***...", []string{canary}},
		{"seven characters of it", "key " + canary[:7] + "...", "key " + canary[:7] + "...", []string{canary}},
		{"short secret, whole", "pass abc123 is wrong", "pass *** is wrong", []string{"abc123"}},
		{"short secret, part", "pass abc12 is wrong", "pass abc12 is wrong", []string{"abc123"}},
		{"short secret, hex", "pass 616263313233 is wrong", "pass *** is wrong", []string{"abc123"}},
		{"short secret, base64", "pass YWJjMTIz= is wrong", "pass ***= is wrong", []string{"abc123"}},
		{"under four is ignored", "the cat", "the cat", []string{"cat"}},
		{"four is not", "the cats", "the ***", []string{"cats"}},
		{"json in json", `{"m":"key \"a\\\"b\\\"secret\""}`, `{"m":"key \"a\\\"b\\\"secret\""}`, []string{"other-secret"}},
		{"escaped slash", `path\/to\/the\/secret`, "***", []string{"path/to/the/secret"}},
		{"unicode escapes", `gr\u00fcn-gr\u00fcn-gr\u00fcn`, "***", []string{"grün-grün-grün"}},
		{"lower percent", "a%2fb%2fc%2fd%2fe%2ff", "***", []string{"a/b/c/d/e/f"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var vs []secret.Value
			for _, s := range tc.secrets {
				vs = append(vs, secret.New(s))
			}
			sc := secret.NewScrubber(vs...)
			if got := sc.Scrub(tc.text); got != tc.want {
				t.Errorf("%q became %q, want %q", tc.text, got, tc.want)
			}
			in := []byte(tc.text)
			if got := string(sc.ScrubBytes(in)); got != tc.want || string(in) != tc.text {
				t.Errorf("bytes %q became %q, input now %q", tc.text, got, in)
			}
		})
	}
	var none *secret.Scrubber
	if none.Scrub(canary) != canary || string(none.ScrubBytes([]byte(canary))) != canary {
		t.Error("the nil scrubber changes text")
	}
	if got := secret.NewScrubber(secret.Value{}).Scrub(canary); got != canary {
		t.Error("an absent secret matches")
	}
}

func FuzzScrub(f *testing.F) {
	f.Add("sk-secret-123", "before sk-secret-123 after")
	f.Add("abcd", "xxabcdxx")
	f.Add("12345678", "1234567812345678")
	f.Fuzz(func(t *testing.T, s, text string) {
		if len(s) > 1000 {
			return
		}
		sc := secret.NewScrubber(secret.New(s))
		got := sc.Scrub(text + s + text)
		if len(s) < 4 {
			return
		}
		if strings.Contains(s, "*") {
			return // the mask itself may make up a secret of stars
		}
		if strings.Contains(got, s) {
			t.Fatalf("secret %q survives in %q", s, got)
		}
		for i := 0; len(s) >= 8 && i+8 <= len(s); i++ {
			if strings.Contains(got, s[i:i+8]) {
				t.Fatalf("piece %q of %q survives in %q", s[i:i+8], s, got)
			}
		}
	})
}

func BenchmarkScrub64KiB(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	var vs []secret.Value
	for range 50 {
		vs = append(vs, secret.New(randomText(r, 60, printable)))
	}
	vs = append(vs, secret.New("short1"))
	sc := secret.NewScrubber(vs...)
	text := []byte(randomText(r, 64<<10, printable))
	for _, dirty := range []bool{false, true} {
		b.Run(fmt.Sprintf("dirty=%v", dirty), func(b *testing.B) {
			if dirty {
				copy(text[1000:], vs[7].Reveal())
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				sc.ScrubBytes(text)
			}
		})
	}
}
