// Command testreport reads the output of go test -json and prints what a reader
// needs: each package's result, failures whole, the lines that tests mark for the
// report, what was skipped and why, and a closing count.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
)

type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// reportMark begins the lines of a test's output that are shown even when it passes.
const reportMark = "REPORT "

func main() {
	var (
		passed, failed, skipped int
		output                  = map[string][]string{}
		skips                   []string
		reports                 []string
	)
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 64<<20)
	for in.Scan() {
		var ev event
		if json.Unmarshal(in.Bytes(), &ev) != nil {
			fmt.Println(in.Text()) // build errors
			continue
		}
		key := ev.Package + " " + ev.Test
		switch ev.Action {
		case "output", "build-output":
			output[key] = append(output[key], ev.Output)
			if _, rest, ok := strings.Cut(ev.Output, reportMark); ok {
				reports = append(reports, strings.TrimRight(rest, "\n"))
			}
			if ev.Action == "build-output" {
				fmt.Print(ev.Output)
			}
		case "pass":
			if ev.Test == "" {
				fmt.Printf("ok    %-60s %6.1fs\n", ev.Package, ev.Elapsed)
			} else {
				passed++
			}
			delete(output, key)
		case "fail":
			if ev.Test != "" {
				failed++
			}
			fmt.Printf("FAIL  %s\n%s", key, strings.Join(output[key], ""))
		case "skip":
			if ev.Test != "" {
				skipped++
				skips = append(skips, key+"\n"+reason(output[key]))
			}
			delete(output, key)
		}
	}
	if err := in.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	for _, line := range reports {
		fmt.Println(line)
	}
	sort.Strings(skips)
	for _, s := range skips {
		fmt.Println("SKIP  " + s)
	}
	fmt.Printf("\n%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 || (skipped > 0 && os.Getenv("REQUIRE_ALL") == "1") {
		os.Exit(1)
	}
}

// reason is what a skipped test said.
func reason(lines []string) string {
	var out []string
	for _, l := range lines {
		l = strings.TrimSpace(l)
		if l != "" && !strings.HasPrefix(l, "===") && !strings.HasPrefix(l, "---") {
			out = append(out, "        "+l)
		}
	}
	return strings.Join(out, "\n")
}
