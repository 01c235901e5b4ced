package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// checker applies every rule and collects what it finds.
type checker struct {
	c        *Config
	broken   map[string]bool // paths already reported by the decoder
	problems []Problem
	warnings []Warning
}

func (k *checker) all() {
	k.top()
	k.providers()
	k.models()
	k.keys()
	k.tiers()
	k.guards()
	k.sections()
	k.storage()
	k.prices()
	k.inactive()
}

// fail records a mistake, unless the decoder has reported the same value or one
// around it: what follows from a mistake is none of its own.
func (k *checker) fail(path, hint, format string, args ...any) {
	for p := path; len(k.broken) > 0; {
		if k.broken[p] {
			return
		}
		if p == "" {
			break
		}
		p = p[:max(0, strings.LastIndexByte(p, '.'), strings.LastIndexByte(p, '['))]
	}
	k.problems = append(k.problems, k.c.src.problem(path, hint, format, args...))
}

func (k *checker) warn(path, hint, format string, args ...any) {
	k.warnings = append(k.warnings, k.c.src.problem(path, hint, format, args...))
}

func brokenPaths(ps []Problem) map[string]bool {
	m := make(map[string]bool, len(ps))
	for _, p := range ps {
		m[p.Path] = true
	}
	return m
}

func (k *checker) top() {
	c := k.c
	if _, _, err := splitListen(c.Listen); err != nil {
		k.fail("listen", "write host:port, such as 127.0.0.1:8080 or :8080", "%s is not an address to listen on: %s", quote(c.Listen), err)
	}
	k.text("data_dir", c.DataDir)
	k.positive("refresh", c.Refresh)
	if !c.Admin.Token.IsZero() {
		k.secret("admin.token", c.Admin.Token.Literal)
	}
	if c.Auth == AuthRequired && len(c.Keys) == 0 {
		k.warn("auth", "add keys:", "no call can succeed: auth is required and there are no keys")
	}
	k.health()
	k.limits()
}

func (k *checker) health() {
	k.positive("health.interval", k.c.Health.Interval)
}

func (k *checker) limits() {
	l := k.c.Limits
	if l.MaxBody < 1<<10 || l.MaxBody > 1<<30 {
		k.fail("limits.max_body", "write one such as 32MiB", "%s is not between 1KiB and 1GiB", l.MaxBody)
	}
	if l.MaxStreams < 1 {
		k.fail("limits.max_streams", "", "%d is not 1 or more", l.MaxStreams)
	}
	k.positive("limits.write_timeout", l.WriteTimeout)
}

// secret warns of a secret that stands in the file itself.
func (k *checker) secret(path string, literal bool) {
	if literal {
		k.warn(path, "put it into an environment variable and write env://NAME", "the secret itself is written in the file")
	}
}

func (k *checker) positive(path string, d Duration) {
	if d <= 0 {
		k.fail(path, "write a duration such as 30s", "%s is not more than 0", d)
	}
}

func (k *checker) notNegative(path string, n int) {
	if n < 0 {
		k.fail(path, "write 0 for no limit", "%d is negative", n)
	}
}

func (k *checker) between(path string, f, low, high float64) {
	if !(f >= low && f <= high) {
		k.fail(path, "", "%s is not between %s and %s", number(f), number(low), number(high))
	}
}

// text checks a value that goes into messages, headers and addresses.
func (k *checker) text(path, s string) {
	switch {
	case strings.TrimSpace(s) == "":
		k.fail(path, "", "the value is empty")
	case hasControl(s):
		k.fail(path, "", "the value has a control character in it")
	}
}

// oneOf checks an enumeration: the decoder does so for files, this for
// configurations made in code.
func (k *checker) oneOf(path, s string, values []string) {
	for _, v := range values {
		if s == v {
			return
		}
	}
	k.fail(path, "", "%s is not one of %s", quote(s), strings.Join(values, ", "))
}

// maxName bounds names, in bytes: they are labels of metrics and columns of the
// ledger.
const maxName = 128

// name checks a name that callers, logs and metrics use.
func (k *checker) name(path, s, extra string) {
	for _, r := range s {
		if r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._:-"+extra, r) {
			continue
		}
		k.fail(path, fmt.Sprintf("use letters, digits and %s", strings.Join(strings.Split("._:-"+extra, ""), " ")), "the name has %q in it", r)
		return
	}
	switch {
	case s == "":
		k.fail(path, "", "the name is empty")
	case len(s) > maxName:
		k.fail(path, "", "the name is longer than %d characters", maxName)
	}
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// CheckExposure refuses an open gateway on an address that others can reach:
// auth auto, no keys, and a listen address that is not loopback. Call it when
// command-line flags have had their say.
func (c *Config) CheckExposure() error {
	host, _, err := splitListen(c.Listen)
	if err != nil {
		return Errors{{Path: "listen", Message: fmt.Sprintf("%s is not an address to listen on: %s", quote(c.Listen), err), Hint: "write host:port, such as 127.0.0.1:8080"}}
	}
	if c.Auth != AuthAuto || len(c.Keys) > 0 || loopback(host) {
		return nil
	}
	p := Problem{Path: "listen"}
	if c.src != nil && c.src.listen == c.Listen {
		p = c.src.problem("listen", "", "")
	}
	p.Message = fmt.Sprintf("%s can be reached from other machines and there are no keys, so anybody could spend your money", c.Listen)
	p.Hint = "add keys:, or write auth: off if that is meant, or listen on 127.0.0.1"
	return Errors{p}
}

// Open reports whether callers need no key.
func (c *Config) Open() bool {
	return c.Auth == AuthOff || c.Auth == AuthAuto && len(c.Keys) == 0
}

func splitListen(s string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		if strings.Contains(s, ":") {
			return "", 0, fmt.Errorf("the host or the port is malformed")
		}
		return "", 0, fmt.Errorf("the port is missing")
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("the port is not a number from 0 to 65535")
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil && !validHost(host) {
		return "", 0, fmt.Errorf("the host is malformed")
	}
	return host, int(n), nil
}

// validHost reports whether s looks like a host name.
func validHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if label == "" || strings.Trim(label, "-") != label {
			return false
		}
		for _, r := range label {
			if r != '-' && r != '_' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') {
				return false
			}
		}
	}
	// All digits and dots is a malformed address, not a name.
	return strings.Trim(s, "0123456789.") != ""
}

// loopback reports whether only this machine reaches host.
func loopback(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
