package route

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-llm/breakwater/llm"
)

const notTold = -1

// consequences says what one failure of a provider leads to.
type consequences struct {
	kind       llm.Kind
	status     int
	retryAfter time.Duration // notTold: none
	noRetry    bool

	// With a healthy second target.
	tries     int  // at the first
	elsewhere bool // the second answers

	// What it does to the key: cooled is for the model alone, disabled for all.
	cooled   time.Duration
	disabled time.Duration

	// Without another target. wait is the least time between the two tries, if there are two.
	alone  int
	wait   time.Duration
	result int // HTTP status
	code   string
	after  time.Duration // Retry-After; notTold: none
}

const (
	failedAll = "all_providers_failed"
	minute    = time.Minute
	sec       = time.Second
)

// table pins what every kind of failure leads to.
var table = []consequences{
	// A blip: once more here, then elsewhere.
	{kind: llm.KindConnection, retryAfter: notTold, tries: 2, elsewhere: true, alone: 2, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindServerError, status: 500, retryAfter: notTold, tries: 2, elsewhere: true, alone: 2, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindServerError, status: 500, retryAfter: 2 * sec, tries: 2, elsewhere: true, alone: 2, wait: 2 * sec, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindServerError, status: 500, retryAfter: 9 * sec, tries: 1, elsewhere: true, alone: 1, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindServerError, status: 500, retryAfter: notTold, noRetry: true, tries: 1, elsewhere: true, alone: 1, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindServerError, status: 503, retryAfter: 3 * sec, tries: 2, elsewhere: true, cooled: 3 * sec, alone: 2, wait: 3 * sec, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindBadResponse, status: 200, retryAfter: notTold, tries: 2, elsewhere: true, alone: 2, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindIncompleteStream, status: 200, retryAfter: notTold, tries: 2, elsewhere: true, alone: 2, result: 502, code: failedAll, after: notTold},

	// In trouble: elsewhere at once; here again only if there is nowhere else.
	{kind: llm.KindTimeout, status: 504, retryAfter: notTold, tries: 1, elsewhere: true, alone: 2, result: 504, code: failedAll, after: notTold},
	{kind: llm.KindOverloaded, status: 529, retryAfter: notTold, tries: 1, elsewhere: true, alone: 2, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindOverloaded, status: 503, retryAfter: 3 * sec, tries: 1, elsewhere: true, cooled: 3 * sec, alone: 2, wait: 3 * sec, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindOverloaded, status: 429, retryAfter: 3 * sec, tries: 1, elsewhere: true, cooled: 3 * sec, alone: 2, wait: 3 * sec, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindOverloaded, status: 503, retryAfter: minute, tries: 1, elsewhere: true, cooled: minute, alone: 1, result: 502, code: failedAll, after: notTold},

	// Limited: the key rests for as long as told, a second if nothing was told.
	{kind: llm.KindRateLimit, status: 429, retryAfter: notTold, tries: 1, elsewhere: true, cooled: sec, alone: 2, wait: sec, result: 429, code: failedAll, after: sec},
	{kind: llm.KindRateLimit, status: 429, retryAfter: 0, tries: 1, elsewhere: true, cooled: sec, alone: 2, wait: sec, result: 429, code: failedAll, after: sec},
	{kind: llm.KindRateLimit, status: 429, retryAfter: 2 * sec, tries: 1, elsewhere: true, cooled: 2 * sec, alone: 2, wait: 2 * sec, result: 429, code: failedAll, after: 2 * sec},
	{kind: llm.KindRateLimit, status: 429, retryAfter: minute, tries: 1, elsewhere: true, cooled: minute, alone: 1, result: 429, code: failedAll, after: minute},
	{kind: llm.KindRateLimit, status: 429, retryAfter: 1000 * time.Hour, tries: 1, elsewhere: true, cooled: 24 * time.Hour, alone: 1, result: 429, code: failedAll, after: 24 * time.Hour},
	{kind: llm.KindRateLimit, status: 429, retryAfter: 2 * sec, noRetry: true, tries: 1, elsewhere: true, cooled: 2 * sec, alone: 1, result: 429, code: failedAll, after: 2 * sec},
	{kind: llm.KindConcurrencyLimit, status: 429, retryAfter: notTold, tries: 1, elsewhere: true, alone: 1, result: 429, code: failedAll, after: sec},

	// Our account: the key is out of use for a while.
	{kind: llm.KindAuthentication, status: 401, retryAfter: notTold, tries: 1, elsewhere: true, disabled: minute, alone: 1, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindQuota, status: 429, retryAfter: notTold, tries: 1, elsewhere: true, disabled: minute, alone: 1, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindQuota, status: 429, retryAfter: time.Hour, tries: 1, elsewhere: true, disabled: time.Hour, alone: 1, result: 502, code: failedAll, after: notTold},
	{kind: llm.KindPermission, status: 403, retryAfter: notTold, tries: 1, elsewhere: true, cooled: minute, alone: 1, result: 502, code: failedAll, after: notTold},

	// One request above a provider's limit may fit another's.
	{kind: llm.KindTooLarge, status: 429, retryAfter: notTold, tries: 1, elsewhere: true, alone: 1, result: 413, code: "request_too_large", after: notTold},

	// The caller's own, or over for other reasons: returned as it is.
	{kind: llm.KindTooLarge, status: 413, retryAfter: notTold, tries: 1, alone: 1, result: 413, code: "request_too_large", after: notTold},
	{kind: llm.KindInvalidRequest, status: 400, retryAfter: notTold, tries: 1, alone: 1, result: 400, code: "invalid_request", after: notTold},
	{kind: llm.KindInvalidRequest, status: 422, retryAfter: notTold, tries: 1, alone: 1, result: 400, code: "invalid_request", after: notTold},
	{kind: llm.KindNotFound, status: 404, retryAfter: notTold, tries: 1, alone: 1, result: 404, code: "model_not_found", after: notTold},
	{kind: llm.KindContentFilter, status: 400, retryAfter: notTold, tries: 1, alone: 1, result: 400, code: "content_filter", after: notTold},
	{kind: llm.KindContextLength, status: 400, retryAfter: notTold, tries: 1, alone: 1, result: 400, code: "context_length_exceeded", after: notTold},
	{kind: llm.KindClientClosed, retryAfter: notTold, tries: 1, alone: 1, result: 499, code: "client_closed", after: notTold},
	{kind: llm.KindGuard, retryAfter: notTold, tries: 1, alone: 1, result: 400, code: "invalid_request", after: notTold},
	{kind: llm.KindBudget, retryAfter: notTold, tries: 1, alone: 1, result: 429, code: "budget_exceeded", after: notTold},
	{kind: llm.KindShutdown, retryAfter: notTold, tries: 1, alone: 1, result: 503, code: "overloaded", after: notTold},
	{kind: llm.KindStorage, retryAfter: notTold, tries: 1, alone: 1, result: 503, code: "storage_unavailable", after: notTold},
	{kind: llm.KindInternal, retryAfter: notTold, tries: 1, alone: 1, result: 500, code: "internal_error", after: notTold},
}

func (c *consequences) name() string {
	n := string(c.kind) + " " + strconv.Itoa(c.status)
	if c.retryAfter >= 0 {
		n += " after " + c.retryAfter.String()
	}
	if c.noRetry {
		n += " no retry"
	}
	return n
}

func (c *consequences) error() *llm.Error {
	e := failure(c.kind, c.status, c.retryAfter)
	e.NoRetry = c.noRetry
	return e
}

func TestFailureWithHealthySecond(t *testing.T) {
	for _, tc := range table {
		t.Run(tc.name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p1, p2 := &fake{name: "p1", script: fails(tc.error())}, &fake{name: "p2", script: says("two")}
				w := newWorld(1, p1, p2)
				out := w.do(t.Context(), newCall(false))
				if p1.count() != tc.tries {
					t.Errorf("%d tries at the first, want %d", p1.count(), tc.tries)
				}
				if tc.elsewhere && (out.text != "two" || p2.count() != 1) {
					t.Errorf("not answered elsewhere: %q %v, %d calls", out.text, out.err, p2.count())
				}
				if !tc.elsewhere && (out.err == nil || out.err.Kind != tc.kind || p2.count() != 0) {
					t.Errorf("not returned: %q %v, %d calls elsewhere", out.text, out.err, p2.count())
				}
				key := w.providers[0].Keys[0]
				blocked, why := key.Blocked("p1-model", p1.calls[len(p1.calls)-1].at)
				other, _ := key.Blocked("another-model", p1.calls[len(p1.calls)-1].at)
				if blocked != max(tc.cooled, tc.disabled) {
					t.Errorf("the key rests %v (%s), want %v", blocked, why, max(tc.cooled, tc.disabled))
				}
				if other != tc.disabled {
					t.Errorf("the key rests %v for other models, want %v", other, tc.disabled)
				}
				if blocked > 0 && why != tc.kind {
					t.Errorf("the key rests because of %s", why)
				}
				if len(out.rec.Attempts) != p1.count()+p2.count() {
					t.Errorf("%d rows for %d attempts", len(out.rec.Attempts), p1.count()+p2.count())
				}
			})
		})
	}
}

func TestFailureAlone(t *testing.T) {
	for _, tc := range table {
		t.Run(tc.name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p1 := &fake{name: "p1", script: fails(tc.error())}
				w := newWorld(1, p1)
				out := w.do(t.Context(), newCall(false))
				if out.err == nil {
					t.Fatalf("answered %q", out.text)
				}
				if p1.count() != tc.alone {
					t.Errorf("%d tries, want %d", p1.count(), tc.alone)
				}
				if p1.count() == 2 {
					if gap := p1.calls[1].at.Sub(p1.calls[0].at); gap < max(tc.wait, 125*time.Millisecond) {
						t.Errorf("tried again after %v, want at least %v", gap, tc.wait)
					}
				}
				e := out.err
				if e.HTTPStatus() != tc.result || e.PublicCode() != tc.code {
					t.Errorf("%d %s, want %d %s", e.HTTPStatus(), e.PublicCode(), tc.result, tc.code)
				}
				if tc.after >= 0 && e.RetryAfter != tc.after || tc.after < 0 && tc.retryAfter < 0 && e.RetryAfter >= 0 {
					t.Errorf("Retry-After %v, want %v", e.RetryAfter, tc.after)
				}
				if tc.code == failedAll {
					if want := tc.result != 429; e.NoRetry != want {
						t.Errorf("NoRetry %v, want %v", e.NoRetry, want)
					}
					if len(e.Attempts) != tc.alone {
						t.Errorf("%d attempts told, want %d", len(e.Attempts), tc.alone)
					}
				}
				if out.rec.Provider != "p1" || out.rec.Model != "p1-model" {
					t.Errorf("the record names %q %q", out.rec.Provider, out.rec.Model)
				}
			})
		})
	}
}

// TestTableIsWhole: a kind that is added needs a line in the table.
func TestTableIsWhole(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../llm/error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Kind") {
			return true
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		found++
		kind := llm.Kind(strings.Trim(lit.Value, `"`))
		if !slices.ContainsFunc(table, func(c consequences) bool { return c.kind == kind }) {
			t.Errorf("no line for %s", kind)
		}
		return true
	})
	if found < 22 {
		t.Errorf("%d kinds found", found)
	}
}
