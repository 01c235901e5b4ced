package sim

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The scripts in docs/mock.md parse, its faults are faults, and its table names
// every kind and variant.
func TestDocumentation(t *testing.T) {
	b, err := os.ReadFile("../../docs/mock.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	scripts := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(doc, -1)
	if len(scripts) < 3 {
		t.Errorf("%d scripts", len(scripts))
	}
	for i, m := range scripts {
		s, err := ParseScript(fmt.Sprint("script ", i+1), []byte(m[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		ask1(t, mustNew(t, Options{Script: &Script{Rules: s.Rules, Models: s.Models}}), anthropicAPI, anthropicAPI.body(true, "x", ""))
	}
	faults := regexp.MustCompile(`--fault (\S+)`).FindAllStringSubmatch(doc, -1)
	if len(faults) < 2 {
		t.Errorf("%d faults", len(faults))
	}
	for _, m := range faults {
		if _, err := ParseFault(m[1]); err != nil {
			t.Error(err)
		}
	}
	for _, k := range FaultKinds() {
		_, row, ok := strings.Cut(doc, "\n| `"+string(k)+"` |")
		row, _, _ = strings.Cut(row, "\n")
		if !ok {
			t.Errorf("%s is not in the table", k)
		}
		for _, v := range FaultVariants(k) {
			if !strings.Contains(row, "`"+v+"`") {
				t.Errorf("%s: variant %s is not in its row", k, v)
			}
		}
		for field := range strings.FieldsSeq(faultRowOf(k).fields) {
			if !strings.Contains(row, "`"+field+"`") {
				t.Errorf("%s: field %s is not in its row", k, field)
			}
		}
	}
}
