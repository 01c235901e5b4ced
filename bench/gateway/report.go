package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is all that a run found out.
type report struct {
	Started    time.Time   `json:"started"`
	Seconds    float64     `json:"seconds"`
	Machine    string      `json:"machine"`
	CPUs       int         `json:"cpus"`
	Go         string      `json:"go"`
	Upstream   string      `json:"upstream"`
	Binary     string      `json:"binary"`
	SameModel  bool        `json:"same_model"`
	Subjects   []string    `json:"subjects"`
	Rounds     int         `json:"rounds"`
	CellMS     int64       `json:"cell_ms"`
	Conns      int         `json:"conns"`
	Rows       []row       `json:"rows"`
	Cells      []cell      `json:"cells"`
	Footprints []footprint `json:"footprints"`
}

// row is one figure of all subjects.
type row struct {
	Workload string              `json:"workload"`
	Metric   string              `json:"metric"`
	Values   map[string]*summary `json:"values"`           // by subject; for direct a latency is absolute, for the others what they add
	Ratios   map[string]*summary `json:"ratios,omitempty"` // to the reverse proxy, round by round
	Target   *target             `json:"target,omitempty"`
}

// target is what breakwater's figure is to be at most.
type target struct {
	Max   float64 `json:"max"`
	Ratio bool    `json:"ratio"` // Max is a multiple of the reverse proxy's
	Met   bool    `json:"met"`
}

// targets are by workload and metric.
var targets = map[[2]string]target{
	{"chat1k", metricCPU}:      {Max: 0.75, Ratio: true},
	{"chat64k", metricCPU}:     {Max: 1.3, Ratio: true},
	{"stream", metricCPU}:      {Max: 0.9, Ratio: true},
	{"paced", metricCPU}:       {Max: 0.9, Ratio: true},
	{"paced", metricFirst50}:   {Max: 1, Ratio: true},
	{"held", metricHeldRSS}:    {Max: 40},
	{"rest", metricIdleRSS}:    {Max: 30},
	{"rest", metricReadyMedms}: {Max: 100},
}

const (
	metricRate       = "calls/s"
	metricCPU        = "CPU ms per 1,000 calls"
	metricUpstream   = "upstream's CPU ms per 1,000 calls"
	metricEventCPU   = "CPU ms per 1,000 events"
	metricP50        = "added latency p50, us"
	metricP99        = "added latency p99, us"
	metricFirst50    = "added first text p50, us"
	metricFirst99    = "added first text p99, us"
	metricHeldRSS    = "RSS KB per stream"
	metricHeldPSS    = "PSS KB per stream"
	metricIdleRSS    = "idle RSS MB"
	metricIdlePSS    = "idle PSS MB"
	metricReadyMedms = "ready after ms"
)

func newReport(s *settings, begun time.Time) *report {
	return &report{
		Started: begun.UTC(), Machine: machine(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Upstream: s.upstream, Binary: s.binary,
		SameModel: s.sameModel, Subjects: s.subjects, Rounds: s.rounds, CellMS: s.duration.Milliseconds(), Conns: s.conns,
	}
}

// compare turns cells and footprints into rows.
func (r *report) compare() {
	for _, w := range workloads {
		r.loadRows(&w)
	}
	r.footprintRows()
	for i := range r.Rows {
		r.Rows[i].judge()
	}
}

func (r *report) loadRows(w *workload) {
	byRound := map[string]map[int]*cell{}
	for i, c := range r.Cells {
		if c.Workload != w.name {
			continue
		}
		if byRound[c.Subject] == nil {
			byRound[c.Subject] = map[int]*cell{}
		}
		byRound[c.Subject][c.Round] = &r.Cells[i]
	}
	if len(byRound) == 0 {
		return
	}
	add := func(metric string, read func(c, direct *cell) float64, needsDirect, forDirect bool) {
		values := map[string][]float64{}
		for _, name := range r.Subjects {
			if name == subjectDirect && !forDirect {
				continue
			}
			for round := 1; round <= r.Rounds; round++ {
				var direct *cell
				if needsDirect && name != subjectDirect {
					direct = byRound[subjectDirect][round]
				}
				values[name] = append(values[name], read(byRound[name][round], direct))
			}
		}
		r.Rows = append(r.Rows, newRow(w.name, metric, values))
	}
	added := func(of func(*cell) float64) func(c, direct *cell) float64 {
		return func(c, direct *cell) float64 {
			if direct == nil {
				return of(c)
			}
			return of(c) - of(direct)
		}
	}
	if w.period == 0 {
		add(metricRate, func(c, _ *cell) float64 { return c.Calls / c.Seconds }, false, true)
	}
	add(metricCPU, func(c, _ *cell) float64 { return c.CPU * 1e6 / c.Calls }, false, false)
	add(metricUpstream, func(c, _ *cell) float64 { return c.Upstream * 1e6 / c.Calls }, false, true)
	if w.stream {
		add(metricEventCPU, func(c, _ *cell) float64 { return c.CPU * 1e6 / float64(c.Events) }, false, false)
		add(metricFirst50, added(func(c *cell) float64 { return c.First50 }), true, true)
		add(metricFirst99, added(func(c *cell) float64 { return c.First99 }), true, true)
		return
	}
	add(metricP50, added(func(c *cell) float64 { return c.P50 }), true, true)
	add(metricP99, added(func(c *cell) float64 { return c.P99 }), true, true)
}

func (r *report) footprintRows() {
	add := func(workload, metric string, read func(f *footprint) []float64) {
		values := map[string][]float64{}
		for i := range r.Footprints {
			if v := read(&r.Footprints[i]); len(v) > 0 {
				values[r.Footprints[i].Subject] = v
			}
		}
		if len(values) > 0 {
			row := newRow(workload, metric, values)
			r.Rows = append(r.Rows, row)
		}
	}
	perStream := func(of func(memory) int64) func(f *footprint) []float64 {
		return func(f *footprint) []float64 {
			if f.Streams == 0 {
				return nil
			}
			return []float64{float64(of(f.Held)-of(f.Before)) / 1e3 / float64(f.Streams)}
		}
	}
	idle := func(of func(memory) int64) func(f *footprint) []float64 {
		return func(f *footprint) (out []float64) {
			for _, m := range f.Idle {
				out = append(out, float64(of(m))/1e6)
			}
			return out
		}
	}
	rss, pss := func(m memory) int64 { return m.RSS }, func(m memory) int64 { return m.PSS }
	add("held", metricHeldRSS, perStream(rss))
	add("held", metricHeldPSS, perStream(pss))
	add("rest", metricIdleRSS, idle(rss))
	add("rest", metricIdlePSS, idle(pss))
	add("rest", metricReadyMedms, func(f *footprint) []float64 { return f.ReadyMS })
}

func newRow(workload, metric string, values map[string][]float64) row {
	out := row{Workload: workload, Metric: metric, Values: map[string]*summary{}, Ratios: map[string]*summary{}}
	base := values[subjectProxy]
	for name, v := range values {
		out.Values[name] = summarize(v)
		if name == subjectProxy || name == subjectDirect && metric != metricRate {
			continue
		}
		var ratios []float64
		for i := range min(len(v), len(base)) {
			if base[i] > 0 {
				ratios = append(ratios, v[i]/base[i])
			}
		}
		if s := summarize(ratios); s != nil {
			out.Ratios[name] = s
		}
	}
	return out
}

// judge compares breakwater's figure with its target, if both are there.
func (w *row) judge() {
	t, ok := targets[[2]string{w.Workload, w.Metric}]
	if !ok {
		return
	}
	from := w.Values
	if t.Ratio {
		from = w.Ratios
	}
	s := from[subjectBreakwater]
	if s == nil {
		return
	}
	t.Met = s.Median <= t.Max
	w.Target = &t
}

// missed counts the targets that were not met.
func (r *report) missed() (n int) {
	for _, w := range r.Rows {
		if w.Target != nil && !w.Target.Met {
			n++
		}
	}
	return n
}

func (r *report) save(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// titles of what is not a load.
var titles = map[string]string{"held": "held streams", "rest": "at rest"}

func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "%s, %d CPUs, %s; upstream %s; %d rounds of %d ms per subject and load; closed loops of %d connections; %.0f s in all\n\n",
		r.Machine, r.CPUs, r.Go, r.Upstream, r.Rounds, r.CellMS, r.Conns, r.Seconds)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	compared := slices.DeleteFunc(slices.Clone(r.Subjects), func(s string) bool { return s == subjectDirect || s == subjectProxy })
	head := append([]string{"", ""}, r.Subjects...)
	for _, name := range compared {
		head = append(head, name+" / proxy")
	}
	fmt.Fprintln(w, strings.Join(append(head, "target", "verdict"), "\t"))
	last := ""
	for i := range r.Rows {
		row := &r.Rows[i]
		title := ""
		if row.Workload != last {
			title, last = r.title(row.Workload), row.Workload
		}
		cells := []string{title, row.Metric}
		for _, name := range r.Subjects {
			cells = append(cells, row.Values[name].short())
		}
		for _, name := range compared {
			cells = append(cells, row.Ratios[name].ratio())
		}
		fmt.Fprintln(w, strings.Join(append(cells, row.Target.words()...), "\t"))
	}
	w.Flush()
	r.printWrong(out)
	fmt.Fprintln(out, "\nMedians over the rounds; ratios are taken round by round, with their least and greatest. Added latency is over direct, whose own is absolute.")
}

// printWrong tells what a tolerated subject answered wrongly.
func (r *report) printWrong(out io.Writer) {
	for _, name := range r.Subjects {
		var wrong int64
		var calls float64
		what := ""
		for _, c := range r.Cells {
			if c.Subject == name {
				wrong, calls = wrong+c.Wrong, calls+c.Calls
				if what == "" {
					what = c.WrongWas
				}
			}
		}
		if wrong > 0 {
			fmt.Fprintf(out, "\n%s failed %d calls beside %.0f good ones; the first: %s\n", name, wrong, calls, what)
		}
	}
}

func (r *report) title(workload string) string {
	for _, w := range workloads {
		if w.name == workload {
			return w.title
		}
	}
	if workload == "held" && len(r.Footprints) > 0 {
		return fmt.Sprintf("%d held streams", r.Footprints[0].Streams)
	}
	return titles[workload]
}

func (s *summary) short() string {
	switch {
	case s == nil:
		return "-"
	case s.Median >= 100 || s.Median <= -100:
		return fmt.Sprintf("%.0f", s.Median)
	}
	return fmt.Sprintf("%.1f", s.Median)
}

func (s *summary) ratio() string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f [%.2f-%.2f]", s.Median, s.Min, s.Max)
}

func (t *target) words() []string {
	if t == nil {
		return []string{"", ""}
	}
	limit := fmt.Sprintf("<= %g", t.Max)
	if t.Ratio {
		limit += " x proxy"
	}
	if t.Met {
		return []string{limit, "met"}
	}
	return []string{limit, "MISSED"}
}
