package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/testkit"
)

// canary is a random text that must not be seen anywhere, with the forms it could be seen in: as it is, in
// base64, hex, URL- and JSON-escapes, and every piece of 12 characters of it in each of them.
type canary struct {
	text   string
	pieces []string
}

// newCanary makes one that begins with prefix and has characters which encodings change.
func newCanary(prefix string) canary {
	c := canary{text: prefix + rand.Text()[:20] + "+/" + rand.Text()[:14]}
	for i := 0; i+12 <= len(c.text); i++ {
		piece := c.text[i : i+12]
		c.pieces = append(c.pieces, piece, hex.EncodeToString([]byte(piece)), strings.ToUpper(hex.EncodeToString([]byte(piece))),
			escaped(`\u%04x`, piece), escaped(`\u%04X`, piece), strings.NewReplacer("+", `\u002b`, "/", `\u002f`).Replace(piece),
			strings.NewReplacer("+", `\u002B`, "/", `\/`).Replace(piece), url.QueryEscape(piece), url.PathEscape(piece), strings.ToLower(url.QueryEscape(piece)))
	}
	for shift := range 3 { // base64 of a text that holds the canary at any place
		whole := base64.RawStdEncoding.EncodeToString([]byte("xxx"[:shift] + c.text))
		for i := (shift*8 + 5) / 6; i+12 <= len(whole)-1; i++ {
			c.pieces = append(c.pieces, whole[i:i+12], strings.NewReplacer("+", "-", "/", "_").Replace(whole[i:i+12]))
		}
	}
	return c
}

func escaped(format, s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

// absent fails the test if the text holds any of the canary.
func (c canary) absent(t *testing.T, where, text string) {
	t.Helper()
	for _, p := range c.pieces {
		if i := strings.Index(text, p); i >= 0 {
			t.Errorf("%s holds %q of canary %s: ...%s...", where, p, c.text, text[max(0, i-100):min(len(text), i+len(p)+100)])
			return
		}
	}
}

// forms are ways in which a text is echoed.
func (c canary) forms() map[string]string {
	b := []byte(c.text)
	return map[string]string{
		"plain": c.text, "base64": base64.StdEncoding.EncodeToString(b), "url base64": base64.URLEncoding.EncodeToString(b),
		"base64 of a header": base64.StdEncoding.EncodeToString([]byte("Bearer " + c.text)), "base64 of a pair": base64.StdEncoding.EncodeToString([]byte("u:" + c.text)),
		"hex": hex.EncodeToString(b), "upper hex": strings.ToUpper(hex.EncodeToString(b)), "query": url.QueryEscape(c.text),
		"path": url.PathEscape(c.text), "head": c.text[:14] + "...", "tail": "..." + c.text[len(c.text)-14:], "middle": "***" + c.text[9:23] + "***",
	}
}

func (c canary) echo() string {
	var all []string
	for _, f := range c.forms() {
		all = append(all, f)
	}
	return strings.Join(all, " ")
}

func TestCanary(t *testing.T) {
	c := newCanary("sk-")
	forms := c.forms()
	forms["json"] = escaped(`\u%04x`, c.text)
	for name, f := range forms {
		if !slices.ContainsFunc(c.pieces, func(p string) bool { return strings.Contains(f, p) }) {
			t.Errorf("%s is not seen", name)
		}
	}
	other := newCanary("sk-")
	other.absent(t, "another canary's echo", c.echo())
}

// dump is everything a client sees of an answer.
func dump(r *testkit.Reply) string {
	var b bytes.Buffer
	_ = r.Header.Write(&b)
	b.Write(r.Body)
	return b.String()
}

// traces is everything the process has left behind: what it printed and the files in its folder.
func traces(t *testing.T, g *testkit.Gateway) map[string]string {
	t.Helper()
	out := map[string]string{"stdout": g.Stdout(), "stderr": g.Stderr()}
	err := filepath.WalkDir(g.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, rerr := os.ReadFile(path)
			out["file "+d.Name()], err = string(b), rerr
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return out
}

// jsonLog fails the test if a line of the log is not a JSON object.
func jsonLog(t *testing.T, g *testkit.Gateway) {
	t.Helper()
	g.Calls(t)
}

// misdeeds are ways in which a provider echoes the key that it was called with.
func misdeeds(kind string) map[string]func(x *testkit.Exchange, c canary) {
	headers := func(c canary) []string {
		return []string{
			"X-Request-Id: " + c.text, "Request-Id: " + c.text, "Set-Cookie: k=" + c.text, "WWW-Authenticate: Bearer " + c.text,
			"Openai-Organization: " + c.text, "X-Ratelimit-Limit-Requests: " + c.text, "X-Ratelimit-Reset-Requests: " + c.text, "Retry-After: " + c.text,
			"Anthropic-Ratelimit-Requests-Reset: " + c.text, "Location: https://x/?key=" + c.text, "X-Breakwater-Provider: " + c.text, "X-Should-Retry: " + c.text,
		}
	}
	body := func(c canary, escape func(string) string) string {
		e := escape(c.echo())
		if kind == "openai" {
			return `{"error":{"message":"Incorrect API key provided: ` + e + `","type":"` + escape(c.text) + `","param":"` + escape(c.text) + `","code":"` + escape(c.text) + `"},"key":"` + e + `"}`
		}
		return `{"type":"error","error":{"type":"` + escape(c.text) + `","message":"x: ` + e + `","code":"` + e + `"},"request_id":"` + escape(c.text) + `"}`
	}
	plain := func(s string) string { return s }
	unicode := func(s string) string { return escaped(`\u%04x`, s) }
	out := map[string]func(x *testkit.Exchange, c canary){
		"text": func(x *testkit.Exchange, c canary) {
			x.Respond(500, "bad key "+c.echo(), "Content-Type: text/plain; x="+c.text)
		},
		"text-400": func(x *testkit.Exchange, c canary) { x.Respond(400, "bad key "+c.echo(), "Content-Type: text/plain") },
		"html": func(x *testkit.Exchange, c canary) {
			x.Respond(502, "<html><title>"+c.text+"</title>", "Content-Type: text/html")
		},
		"redirect": func(x *testkit.Exchange, c canary) { x.Respond(307, "", headers(c)...) },
		"encoding": func(x *testkit.Exchange, c canary) { x.Respond(200, "x", "Content-Encoding: "+c.text) },
		"garbage":  func(x *testkit.Exchange, c canary) { x.Respond(200, "{"+c.echo(), "Content-Type: application/json") },
		"no-type":  func(x *testkit.Exchange, c canary) { x.Respond(200, "data: {"+c.text+"\n\n", "Content-Type: "+c.text) },
		"status":   func(x *testkit.Exchange, c canary) { x.Write("HTTP/1.1 2" + c.text + "\r\n\r\n"); x.FIN() },
		"header":   func(x *testkit.Exchange, c canary) { x.Write("HTTP/1.1 200 OK\r\n" + c.text + "\r\n\r\n"); x.FIN() },
		"protocol": func(x *testkit.Exchange, c canary) { x.Write(c.text + "\r\n\r\n"); x.FIN() },
		"length": func(x *testkit.Exchange, c canary) {
			x.Write("HTTP/1.1 200 OK\r\nContent-Length: " + c.text + "\r\n\r\n")
			x.FIN()
		},
		"chunk":    func(x *testkit.Exchange, c canary) { x.StreamHead(); x.Write(c.text + "\r\n"); x.FIN() },
		"hang":     func(x *testkit.Exchange, c canary) { x.Hang(400 * time.Millisecond); x.FIN() },
		"reset":    func(x *testkit.Exchange, c canary) { x.RST() },
		"inside":   func(x *testkit.Exchange, c canary) { x.Respond(200, body(c, plain)) },
		"inside-u": func(x *testkit.Exchange, c canary) { x.Respond(200, body(c, unicode)) },
		"stream":   func(x *testkit.Exchange, c canary) { stream(x, "event: error\ndata: "+body(c, plain)+"\n\n") },
		"stream-u": func(x *testkit.Exchange, c canary) { stream(x, "event: error\ndata: "+body(c, unicode)+"\n\n") },
		"not-json": func(x *testkit.Exchange, c canary) { stream(x, "data: "+c.text+"\n\n") },
		"mid": func(x *testkit.Exchange, c canary) {
			stream(x, begun(kind)+"event: error\ndata: "+body(c, plain)+"\n\n")
		},
		"mid-u": func(x *testkit.Exchange, c canary) {
			stream(x, begun(kind)+"event: error\ndata: "+body(c, unicode)+"\n\n")
		},
		"mid-json": func(x *testkit.Exchange, c canary) { stream(x, begun(kind)+"data: {"+c.text+"\n\n") },
		"good":     func(x *testkit.Exchange, c canary) { x.Respond(200, whole(kind, "fine"), headers(c)...) },
		"early": func(x *testkit.Exchange, c canary) {
			x.Write("HTTP/1.1 103 Early Hints\r\nLink: " + c.text + "\r\n\r\n")
			answers(kind, "x")(x)
		},
		"unasked": func(x *testkit.Exchange, c canary) {
			answers(kind, "x")(x)
			x.Write("HTTP/1.1 200 OK\r\nX: " + c.text + "\r\n\r\n")
		},
		"trailer": func(x *testkit.Exchange, c canary) {
			x.Head(200, "Content-Type: application/json", "Trailer: X-Key", "Transfer-Encoding: chunked")
			x.Chunk(whole(kind, "x"))
			x.Write("0\r\nX-Key: " + c.text + "\r\n\r\n")
		},
		"good-sse": func(x *testkit.Exchange, c canary) {
			x.StreamHead(headers(c)...)
			head, content, tail := frames(kind, "fine")
			x.Chunk(strings.Join(slices.Concat(head, content, tail), ""))
			x.EndChunks()
		},
	}
	for _, status := range []int{400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 503, 529} {
		out[fmt.Sprint(status)] = func(x *testkit.Exchange, c canary) { x.Respond(status, body(c, plain), headers(c)...) }
		out[fmt.Sprint(status, "-u")] = func(x *testkit.Exchange, c canary) { x.Respond(status, body(c, unicode)) }
	}
	return out
}

func stream(x *testkit.Exchange, frames string) { x.StreamHead(); x.Chunk(frames); x.EndChunks() }

// begun is a stream of the kind up to some content.
func begun(kind string) string {
	head, content, _ := frames(kind, "some")
	return strings.Join(append(head, content...), "")
}
