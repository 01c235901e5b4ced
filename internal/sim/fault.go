package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultKind names a failure.
type FaultKind string

// The kinds of fault.
const (
	FaultRateLimit      FaultKind = "rate_limit"       // 429 with Retry-After
	FaultOverloaded     FaultKind = "overloaded"       // Anthropic 529, OpenAI 503
	FaultServerError    FaultKind = "server_error"     // 500
	FaultTimeout        FaultKind = "timeout"          // hangs until the client leaves or the server closes
	FaultSlow           FaultKind = "slow"             // answers late
	FaultReset          FaultKind = "reset"            // the connection is cut by a TCP reset
	FaultTruncate       FaultKind = "truncate"         // the answer stops part way
	FaultGarbage        FaultKind = "garbage"          // not the protocol's JSON
	FaultEmpty          FaultKind = "empty"            // 200 with nothing in it
	FaultMidStreamError FaultKind = "mid_stream_error" // an error inside a 200
	FaultAuth           FaultKind = "auth"             // 401
	FaultQuota          FaultKind = "quota"            // out of money: OpenAI 429, Anthropic 400
	FaultBadUsage       FaultKind = "bad_usage"        // usage numbers that cannot be, or none
)

// FaultSpec says which failure happens, to which share of requests or when.
type FaultSpec struct {
	Kind FaultKind `yaml:"kind"`

	// Rate is the share of requests that are hit, 0 to 1; nil is all. Rates of
	// several faults add up, as at most one hits a request: 0.2 and 0.1 leave
	// 70 % whole. Where they add up to more than 1, the earlier ones win.
	Rate *float64 `yaml:"rate"`

	// At, For and Every make a schedule, counted from the start of the server:
	// the fault may happen from At, for the time For (0: for ever), and again
	// every Every (0: once).
	At    Duration `yaml:"at"`
	For   Duration `yaml:"for"`
	Every Duration `yaml:"every"`

	// AfterTokens is how many output tokens a stream delivers before the fault.
	// nil is half of them for truncate, garbage and mid_stream_error, and "before
	// the response" for timeout and reset. 0 is before any content.
	AfterTokens *int `yaml:"after_tokens"`

	RetryAfter *Duration `yaml:"retry_after"` // nil: 1s for rate_limit, none else; 0: no header
	Status     int       `yaml:"status"`      // another HTTP status than the usual one
	Delay      Duration  `yaml:"delay"`       // slow: added before the answer; 2s if neither it nor Factor is set
	Factor     float64   `yaml:"factor"`      // slow: multiplies all times
	Variant    string    `yaml:"variant"`     // see FaultVariants; "": the first
}

// faultRow says what a kind of fault takes.
type faultRow struct {
	kind     FaultKind
	variants []string // the first is the default
	fields   string   // names of the fields it takes, besides rate and schedule
	statuses string   // space-separated; "": any 4xx or 5xx
}

var faultTable = []faultRow{
	{FaultRateLimit, []string{"requests", "tokens", "too_large"}, "retry_after", ""},
	{FaultOverloaded, nil, "retry_after status", "500 502 503 504 529"},
	{FaultServerError, []string{"json", "html", "text"}, "retry_after status", "500 501 502 503 504 507 508 520 522 524 529"},
	{FaultTimeout, []string{"silent", "pings"}, "after_tokens", ""},
	{FaultSlow, nil, "delay factor", ""},
	{FaultReset, nil, "after_tokens", ""},
	{FaultTruncate, []string{"clean", "close", "eof", "reset"}, "after_tokens", ""},
	{FaultGarbage, []string{"json", "html"}, "after_tokens", ""},
	{FaultEmpty, []string{"body", "choices"}, "", ""},
	{FaultMidStreamError, nil, "after_tokens status", "400 401 403 404 413 429 500 502 503 504 529"},
	{FaultAuth, nil, "status", "401 403"},
	{FaultQuota, nil, "", ""},
	{FaultBadUsage, []string{"absurd", "negative", "zero", "cached", "missing"}, "", ""},
}

func faultRowOf(kind FaultKind) *faultRow {
	for i := range faultTable {
		if faultTable[i].kind == kind {
			return &faultTable[i]
		}
	}
	return nil
}

// FaultKinds lists the kinds of fault.
func FaultKinds() []FaultKind {
	out := make([]FaultKind, len(faultTable))
	for i, row := range faultTable {
		out[i] = row.kind
	}
	return out
}

// FaultVariants lists the variants of a kind, the default first.
func FaultVariants(kind FaultKind) []string {
	if row := faultRowOf(kind); row != nil {
		return slices.Clone(row.variants)
	}
	return nil
}

func listKinds() string {
	names := make([]string, len(faultTable))
	for i, row := range faultTable {
		names[i] = string(row.kind)
	}
	return strings.Join(names, ", ")
}

func (f FaultSpec) validate() error {
	row := faultRowOf(f.Kind)
	if row == nil {
		return at("kind", "unknown fault %q: use one of %s", f.Kind, listKinds())
	}
	if f.Rate != nil && !(*f.Rate >= 0 && *f.Rate <= 1) {
		return at("rate", "%v is not a share from 0 to 1", *f.Rate)
	}
	if err := f.validateSchedule(); err != nil {
		return err
	}
	takes := strings.Fields(row.fields)
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"after_tokens", f.AfterTokens != nil}, {"retry_after", f.RetryAfter != nil}, {"status", f.Status != 0},
		{"delay", f.Delay != 0}, {"factor", f.Factor != 0},
	} {
		if field.set && !slices.Contains(takes, field.name) {
			return at(field.name, "does not go with %s, which takes: %s", f.Kind, orNothing(takes))
		}
	}
	switch {
	case f.AfterTokens != nil && *f.AfterTokens < 0:
		return at("after_tokens", "is negative")
	case f.RetryAfter != nil && *f.RetryAfter < 0:
		return at("retry_after", "is negative")
	case f.Delay < 0:
		return at("delay", "is negative")
	case !(f.Factor >= 0 && f.Factor <= 1e6):
		return at("factor", "%v is not a number from 0 to 1e6", f.Factor)
	case f.Status != 0 && !slices.Contains(strings.Fields(row.statuses), strconv.Itoa(f.Status)):
		return at("status", "%d does not go with %s: use one of %s", f.Status, f.Kind, strings.Join(strings.Fields(row.statuses), ", "))
	case f.Variant != "" && !slices.Contains(row.variants, f.Variant):
		return at("variant", "unknown variant %q of %s, which has: %s", f.Variant, f.Kind, orNothing(row.variants))
	}
	return nil
}

func (f FaultSpec) validateSchedule() error {
	switch {
	case f.At < 0:
		return at("at", "is negative")
	case f.For < 0:
		return at("for", "is negative")
	case f.Every < 0:
		return at("every", "is negative")
	case f.Every > 0 && f.For == 0:
		return at("every", "needs for: how long the fault lasts each time")
	case f.Every > 0 && f.For > f.Every:
		return at("for", "%v is longer than every, %v", time.Duration(f.For), time.Duration(f.Every))
	}
	return nil
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// variant is the variant that happens.
func (f *FaultSpec) variant() string {
	if f.Variant != "" {
		return f.Variant
	}
	if row := faultRowOf(f.Kind); row != nil && len(row.variants) > 0 {
		return row.variants[0]
	}
	return ""
}

// active reports whether the schedule lets the fault happen now.
func (f *FaultSpec) active(now time.Duration) bool {
	since := now - time.Duration(f.At)
	if since < 0 {
		return false
	}
	if f.Every > 0 {
		since %= time.Duration(f.Every)
	}
	return f.For == 0 || since < time.Duration(f.For)
}

// pick chooses the fault that hits a request, by one draw u from [0,1).
func pick(u float64, now time.Duration, lists ...[]FaultSpec) *FaultSpec {
	sum := 0.0
	for _, list := range lists {
		for i := range list {
			f := &list[i]
			if !f.active(now) {
				continue
			}
			if f.Rate == nil {
				sum++
			} else {
				sum += *f.Rate
			}
			if u < sum {
				return f
			}
		}
	}
	return nil
}

// ParseFault reads a fault as the command line gives it: "KIND", "KIND=RATE", or
// either with further fields behind commas, "truncate=0.1,after_tokens=3". RATE
// is a share such as 0.2 or 20%.
func ParseFault(s string) (FaultSpec, error) {
	var f FaultSpec
	parts := strings.Split(s, ",")
	kind, rate, hasRate := strings.Cut(strings.TrimSpace(parts[0]), "=")
	f.Kind = FaultKind(strings.TrimSpace(kind))
	fail := func(err error) (FaultSpec, error) { return FaultSpec{}, fmt.Errorf("fault %q: %w", s, err) }
	if hasRate {
		if err := f.set("rate", strings.TrimSpace(rate)); err != nil {
			return fail(err)
		}
	}
	seen := map[string]bool{"rate": hasRate}
	for _, part := range parts[1:] {
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if !ok {
			return fail(fmt.Errorf("%q has no value: write NAME=VALUE", name))
		}
		if seen[name] {
			return fail(fmt.Errorf("%s is given twice", name))
		}
		seen[name] = true
		if err := f.set(name, strings.TrimSpace(value)); err != nil {
			return fail(err)
		}
	}
	if err := f.validate(); err != nil {
		return fail(err)
	}
	return f, nil
}

// set gives one field its value.
func (f *FaultSpec) set(name, value string) error {
	var err error
	duration := func(to *Duration) {
		var v time.Duration
		v, err = parseDuration(value)
		*to = Duration(v)
	}
	number := func() (v float64) {
		if v, err = strconv.ParseFloat(value, 64); err != nil {
			err = fmt.Errorf("%q is not a number", value)
		}
		return v
	}
	integer := func() (v int) {
		if v, err = strconv.Atoi(value); err != nil {
			err = fmt.Errorf("%q is not a whole number", value)
		}
		return v
	}
	switch name {
	case "rate":
		percent, isPercent := strings.CutSuffix(value, "%")
		value = percent
		v := number()
		if isPercent {
			v /= 100
		}
		f.Rate = &v
	case "at":
		duration(&f.At)
	case "for":
		duration(&f.For)
	case "every":
		duration(&f.Every)
	case "delay":
		duration(&f.Delay)
	case "retry_after":
		f.RetryAfter = new(Duration)
		duration(f.RetryAfter)
	case "after_tokens":
		f.AfterTokens = new(integer())
	case "status":
		f.Status = integer()
	case "factor":
		f.Factor = number()
	case "variant":
		f.Variant = value
	default:
		return fmt.Errorf("unknown field %q: use rate, at, for, every, after_tokens, retry_after, status, delay, factor or variant", name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
