package upstreamtest

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/llm"
)

// redirect: none is followed; the key and the prompt go to the configured address only.
func redirect(t *testing.T, h Harness) {
	for _, p := range surfaces {
		prov, _, err := h.play(t, Scene{Play: Redirect}, call(t, p, false), &upstream.Send{Key: "sk-secret"})
		if err == nil {
			t.Fatal("answered")
		}
		if le := failure(t, err); le.Kind != llm.KindBadResponse || !le.Elsewhere() {
			t.Errorf("the error is %s: %s", le.Kind, le.Message)
		}
		if n := len(prov.Requests()); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	}
}

// unsupported: what the provider's protocol cannot say is refused by name before anything is sent, or left out and
// told, as the call wants.
func unsupported(t *testing.T, h Harness) {
	for _, p := range h.foreign() {
		t.Run(string(p), func(t *testing.T) {
			d := dialects[p]
			prov, _, err := h.play(t, Scene{Play: Text}, call(t, p, false, d.Unknown), nil)
			if err == nil {
				t.Fatal("answered")
			}
			le := failure(t, err)
			if le.Kind != llm.KindInvalidRequest || le.Param != d.UnknownName || !strings.Contains(le.Message, d.UnknownName) || !errors.Is(err, upstream.ErrUnsupported) {
				t.Errorf("%s, param %q: %s", le.Kind, le.Param, le.Message)
			}
			if len(prov.Requests()) > 0 || le.Sent {
				t.Error("the request was sent")
			}
			send := &upstream.Send{Drop: true}
			prov, ans, err := h.play(t, Scene{Play: Text}, call(t, p, false, d.Unknown), send)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, _, _, err := read(t, ans); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(send.Dropped, []string{d.UnknownName}) || bytes.Contains(prov.Requests()[0].Body, []byte(d.UnknownName)) {
				t.Errorf("left out %v, sent %s", send.Dropped, prov.Requests()[0].Body)
			}
		})
	}
}

// key: it is where this kind's providers look for it and nowhere else, and what the client sent in that place
// is not.
func key(t *testing.T, h Harness) {
	const secret = "sk-conformance-0123456789"
	for _, p := range surfaces {
		for _, value := range []string{secret, ""} {
			c := call(t, p, false)
			c.Header = http.Header{"Anthropic-Version": {"2023-06-01"}}
			prov, ans, err := h.play(t, Scene{Play: Text}, c, &upstream.Send{Key: value})
			if err != nil {
				t.Fatal(err)
			}
			_ = ans.Close()
			r := prov.Requests()[0]
			for name, vs := range r.Header {
				for _, v := range vs {
					if name == h.KeyHeader && value != "" {
						if want := strings.Replace(h.KeyForm, "KEY", secret, 1); v != want {
							t.Errorf("%s: %s, want %s", name, v, want)
						}
					} else if strings.Contains(v, "sk-") || name == "Authorization" || name == "X-Api-Key" {
						t.Errorf("the key, or one, is in %s: %s", name, v)
					}
				}
			}
			if value != "" && r.Header.Get(h.KeyHeader) == "" {
				t.Errorf("no key in %s", h.KeyHeader)
			}
			if strings.Contains(r.Path, secret) || bytes.Contains(r.Body, []byte(secret)) {
				t.Errorf("the key is in the path or the body: %s %s", r.Path, r.Body)
			}
		}
	}
}

// headers: what of the client's headers a provider of its protocol may see goes there and to no other; the
// gateway's own say what it takes and who it is.
func headers(t *testing.T, h Harness) {
	h.each(t, surfaces, func(t *testing.T, p llm.Protocol, stream bool) {
		c := call(t, p, stream)
		c.Header = http.Header{"X-Allowed": {"yes"}, "Anthropic-Version": {"2099-01-01"}}
		prov, ans, err := h.play(t, Scene{Play: Text}, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = ans.Close()
		got := prov.Requests()[0].Header
		want := map[string]string{
			"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": UserAgent, "X-Allowed": "",
		}
		if stream {
			want["Accept"] = "text/event-stream"
		}
		if h.speaks(p) {
			want["X-Allowed"], want["Anthropic-Version"] = "yes", "2099-01-01"
		} else if got.Get("Anthropic-Version") == "2099-01-01" {
			t.Error("the client's version is sent to a provider of another protocol")
		}
		for name, v := range want {
			if got.Get(name) != v {
				t.Errorf("%s: %q, want %q", name, got.Get(name), v)
			}
		}
	})
}

// countTokens: a provider that counts is asked and its answer passes; another says that it does not offer it.
func countTokens(t *testing.T, h Harness) {
	c := call(t, llm.AnthropicMessages, false)
	c.Op = pipeline.OpCountTokens
	prov, ans, err := h.play(t, Scene{Play: Count}, c, nil)
	if !prov.Upstream.Offers(pipeline.OpCountTokens) {
		if err == nil || failure(t, err).Kind != llm.KindInvalidRequest || len(prov.Requests()) > 0 {
			t.Errorf("not offered, but got %v and %d requests", err, len(prov.Requests()))
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	data, _, _, _, err := read(t, ans)
	if err != nil {
		t.Fatal(err)
	}
	if prov.Sent != nil && !bytes.Equal(data, prov.Sent) || gjson.GetBytes(data, "input_tokens").Int() <= 0 {
		t.Errorf("the count is %s, sent was %s", data, prov.Sent)
	}
	if path := prov.Requests()[0].Path; !strings.HasSuffix(path, "/count_tokens") {
		t.Errorf("asked at %s", path)
	}
}
