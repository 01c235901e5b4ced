// Command gateway measures Breakwater against a bare reverse proxy: in one run,
// on one machine, with one upstream, in interleaved rounds.
//
//	make bench                            about 3 minutes
//	make bench BENCHFLAGS=--quick         about 20 seconds
//	make bench BENCHFLAGS='--json out.json --check'
//
// The subjects: direct (the client straight at the upstream), proxy
// (net/http/httputil.ReverseProxy with a large pool of idle connections),
// breakwater (bin/breakwater serve), and on demand handwritten (the least
// that a proxy made of net/http can do). Each is a process of its own; the load
// comes from this one.
//
// What counts is the ratio to the reverse proxy in the same round: machines differ
// and drift, two subjects a second apart hardly do. CPU is the subject's whole
// process, user and system.
//
// Every answer is checked (status, length, text; a stream's number of events and
// its end mark). The first wrong one ends the run, but for the reverse proxy's:
// now and then it breaks off an answer that comes before it has seen the end of
// the request's body, so its failures are counted apart and told. The program needs
// Linux: CPU and memory of other processes are read from /proc and the CPU clocks.
package main
