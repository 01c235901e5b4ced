package sdk_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
)

// outcome is what became of a case in an SDK's own test runner.
type outcome struct {
	passed bool
	output string
}

// results are outcomes by "upstream/case".
type results map[string]outcome

// pytestName is a test of pytest with its parameter, such as test_tools[openai].
var pytestName = regexp.MustCompile(`^test_(\w+)\[(\w+)\]$`)

// readJUnit reads the XML report that pytest and Node's test runner write. Suites may be nested.
func readJUnit(t *testing.T, report []byte) results {
	t.Helper()
	type problem struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testcase struct {
		Name    string   `xml:"name,attr"`
		Failure *problem `xml:"failure"`
		Error   *problem `xml:"error"`
		Skipped *problem `xml:"skipped"`
	}
	out := results{}
	dec := xml.NewDecoder(bytes.NewReader(report))
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("the test report is not XML: %v", err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok || start.Name.Local != "testcase" {
			continue
		}
		var c testcase
		if err := dec.DecodeElement(&c, &start); err != nil {
			t.Fatalf("the test report is not XML: %v", err)
		}
		name := c.Name
		if m := pytestName.FindStringSubmatch(name); m != nil {
			name = m[2] + "/" + m[1]
		}
		o := outcome{passed: true}
		for _, p := range []*problem{c.Failure, c.Error, c.Skipped} {
			if p != nil {
				o = outcome{output: strings.TrimSpace(p.Message + "\n" + p.Text)}
			}
		}
		out[name] = o
	}
}

// readGoTest reads the output of go test -json. Cases are the leaves Test…/upstream/case.
func readGoTest(t *testing.T, report []byte) results {
	t.Helper()
	out := results{}
	lines := bufio.NewScanner(bytes.NewReader(report))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var ev struct{ Action, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &ev); err != nil {
			t.Fatalf("not a line of go test -json: %s", lines.Bytes())
		}
		_, name, _ := strings.Cut(ev.Test, "/")
		if !strings.Contains(name, "/") {
			continue
		}
		o := out[name]
		switch ev.Action {
		case "output":
			o.output += ev.Output
		case "pass":
			o.passed = true
		}
		out[name] = o
	}
	return out
}
