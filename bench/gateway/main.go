package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are what the flags say.
type settings struct {
	subjects  []string
	workloads []string
	upstream  string // sim, raw
	binary    string
	rounds    int
	duration  time.Duration // of one cell
	warmup    time.Duration // before each cell's measurement
	conns     int           // of closed loops
	held      int           // streams held open; 0: none
	settle    time.Duration // before memory is read
	starts    int           // for the ready time
	sameModel bool
	json      string
	check     bool
}

func main() {
	debug.SetGCPercent(400) // the load's own garbage is not what is measured
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// roles are this program's other lives, each as a process of its own. They
// serve until their standard input ends, so that none outlives its parent.
var roles = map[string]func(listen, upstream string) error{
	"role-upstream":    serveUpstream,
	"role-proxy":       serveProxy,
	"role-handwritten": serveHandwritten,
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 3 && roles[args[0]] != nil {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
		fmt.Fprintln(stderr, roles[args[0]](args[1], args[2]))
		return 1
	}
	s, err := parseFlags(args, stderr)
	if err != nil {
		return 2
	}
	report, err := measure(ctx, s, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	report.print(stdout)
	if s.json != "" {
		if err := report.save(s.json); err != nil {
			fmt.Fprintln(stderr, "bench:", err)
			return 1
		}
	}
	if missed := report.missed(); s.check && missed > 0 {
		fmt.Fprintf(stderr, "bench: %d targets missed\n", missed)
		return 1
	}
	return 0
}

func parseFlags(args []string, stderr io.Writer) (*settings, error) {
	s := &settings{}
	fs := flag.NewFlagSet("bench/gateway", flag.ContinueOnError)
	fs.SetOutput(stderr)
	subjects := fs.String("subjects", "direct,proxy,breakwater", "who is measured, of direct, proxy, handwritten, breakwater; direct and proxy are needed")
	only := fs.String("workloads", strings.Join(workloadNames(), ","), "which loads; empty: none, only memory and start")
	fs.StringVar(&s.upstream, "upstream", "sim", "who answers: sim (breakwater mock) or raw (a minimal server of this program)")
	fs.StringVar(&s.binary, "binary", "bin/breakwater", "the breakwater binary")
	fs.IntVar(&s.rounds, "rounds", 7, "rounds over all subjects")
	fs.DurationVar(&s.duration, "duration", 1200*time.Millisecond, "time measured per subject, load and round")
	fs.IntVar(&s.conns, "conns", 32, "connections of closed loops")
	fs.IntVar(&s.held, "held", 2000, "streams held open for the memory figures; 0: none")
	fs.BoolVar(&s.sameModel, "same-model", false, "let the gateway's model and its target have one name, so that no byte of the body changes")
	fs.StringVar(&s.json, "json", "", "write every figure to this `file`")
	fs.BoolVar(&s.check, "check", false, "exit 1 if a target is missed")
	quick := fs.Bool("quick", false, "about 20 seconds in all: shows that it works, not how fast it is")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	s.warmup, s.settle, s.starts = 200*time.Millisecond, 2*time.Second, 5
	if *quick {
		s.quicken(fs)
	}
	s.subjects, s.workloads = split(*subjects), split(*only)
	return s, s.validate(fs, stderr)
}

// quicken makes short of all that no flag says otherwise of.
func (s *settings) quicken(fs *flag.FlagSet) {
	s.warmup, s.settle, s.starts = 100*time.Millisecond, 500*time.Millisecond, 3
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["rounds"] {
		s.rounds = 2
	}
	if !given["duration"] {
		s.duration = 250 * time.Millisecond
	}
}

func (s *settings) validate(fs *flag.FlagSet, stderr io.Writer) error {
	var problem string
	switch {
	case fs.NArg() > 0:
		problem = fmt.Sprintf("unexpected argument %q", fs.Arg(0))
	case !slices.Contains(s.subjects, subjectDirect) || !slices.Contains(s.subjects, subjectProxy):
		problem = "--subjects: direct and proxy are what the others are compared to"
	case s.upstream != "sim" && s.upstream != "raw":
		problem = "--upstream: sim or raw"
	case s.rounds < 1 || s.duration <= 0 || s.conns < 1 || s.held < 0:
		problem = "--rounds, --duration and --conns must be positive, --held not negative"
	}
	for _, name := range s.subjects {
		if !slices.Contains(knownSubjects, name) {
			problem = fmt.Sprintf("--subjects: no subject %q", name)
		}
	}
	for _, name := range s.workloads {
		if !slices.Contains(workloadNames(), name) {
			problem = fmt.Sprintf("--workloads: no load %q; there are %s", name, strings.Join(workloadNames(), ", "))
		}
	}
	if problem == "" {
		return nil
	}
	fmt.Fprintln(stderr, "bench:", problem)
	return fmt.Errorf("%s", problem)
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
