package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/breakwater-llm/breakwater/internal/secret"
)

const canary = "canary-7f3d9a1be4c8"

// holders are the places a secret may stand in when it is printed by accident.
func holders(v secret.Value) map[string]any {
	type hidden struct {
		name string
		v    secret.Value
		ps   *secret.Value
		m    map[string]secret.Value
		s    []secret.Value
	}
	type open struct {
		Name string
		V    secret.Value
		P    *secret.Value
		M    map[string]secret.Value
		S    []secret.Value
		A    any
	}
	ref, err := secret.Parse(canary)
	if err != nil {
		panic(err)
	}
	return map[string]any{
		"value": v, "pointer": &v, "slice": []secret.Value{v}, "map": map[string]any{"k": v},
		"hidden": hidden{"n", v, &v, map[string]secret.Value{"k": v}, []secret.Value{v}}, "hidden pointer": &hidden{v: v},
		"open": open{"n", v, &v, map[string]secret.Value{"k": v}, []secret.Value{v}, v},
		"ref":  ref, "hidden ref": struct{ r secret.Ref }{ref}, "open ref": struct{ R secret.Ref }{ref},
		"scrubber": secret.NewScrubber(v), "hidden scrubber": struct{ s *secret.Scrubber }{secret.NewScrubber(v)},
		"resolver": secret.NewResolver(secret.Options{}),
	}
}

func TestValueNeverPrints(t *testing.T) {
	v := secret.New(canary)
	for name, h := range holders(v) {
		outputs := map[string]string{}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%t", "%o", "%b", "%c", "%U", "%e", "%p", "%T", "%#q", "%+q", "%08v", "%-20s", "%z"} {
			outputs[verb] = fmt.Sprintf(verb, h)
		}
		outputs["print"] = fmt.Sprint(h) + fmt.Sprintln(h)
		outputs["error"] = fmt.Errorf("with %v %w", h, fmt.Errorf("%v", h)).Error()
		if b, err := json.Marshal(h); err == nil {
			outputs["json"] = string(b)
		}
		if b, err := yaml.Marshal(h); err == nil {
			outputs["yaml"] = string(b)
		}
		if b, err := xml.Marshal(h); err == nil {
			outputs["xml"] = string(b)
		}
		var buf bytes.Buffer
		_ = gob.NewEncoder(&buf).Encode(h)
		outputs["gob"] = buf.String()
		for kind, l := range loggers(&buf) {
			buf.Reset()
			l.With("with", h).WithGroup("g").Info("m", "a", h, slog.Any("any", h), slog.Group("gg", "x", h))
			outputs[kind] = buf.String()
		}
		for how, out := range outputs {
			if bad := leak(out); bad != "" {
				t.Errorf("%s with %s shows %q: %s", name, how, bad, out)
			}
		}
	}
}

func loggers(buf *bytes.Buffer) map[string]*slog.Logger {
	return map[string]*slog.Logger{
		"slog text": slog.New(slog.NewTextHandler(buf, nil)),
		"slog json": slog.New(slog.NewJSONHandler(buf, nil)),
	}
}

// leak returns the part of the canary that out shows, plain or in hex or as a
// list of byte values.
func leak(out string) string {
	low := strings.ToLower(out)
	for _, f := range []string{canary[:8], canary[7:], fmt.Sprintf("%x", canary[:6]), fmt.Sprintf("% x", canary[:6]), fmt.Sprint([]byte(canary[:4]))[1:8]} {
		if strings.Contains(low, f) {
			return f
		}
	}
	return ""
}

// The check of the check: a masked string in an unexported field does leak.
func TestLeakFindsMaskedString(t *testing.T) {
	if leak(fmt.Sprintf("%v", struct{ m masked }{canary})) == "" {
		t.Fatal("leak does not see a canary in an unexported field")
	}
}

type masked string

func (masked) String() string { return secret.Mask }

func TestValue(t *testing.T) {
	v := secret.New(canary)
	if v.Reveal() != canary || v.IsZero() {
		t.Errorf("Reveal %q, IsZero %v", v.Reveal(), v.IsZero())
	}
	if got := fmt.Sprint(v); got != "[secret]" {
		t.Errorf("prints %q", got)
	}
	if got := fmt.Sprintf("%q %x %d", v, v, v); got != "[secret] [secret] [secret]" {
		t.Errorf("prints %q", got)
	}
	var zero secret.Value
	if zero.Reveal() != "" || !zero.IsZero() || !secret.New("").IsZero() {
		t.Error("the zero value is not empty")
	}
	if !v.Equal(secret.New(canary)) || v.Equal(secret.New(canary+"x")) || v.Equal(zero) || zero.Equal(zero) {
		t.Error("Equal is wrong")
	}
	b, err := json.Marshal(map[string]any{"v": v, "p": &v})
	if err != nil || string(b) != `{"p":"[secret]","v":"[secret]"}` {
		t.Errorf("json: %s, %v", b, err)
	}
}
