package sim

import "math/rand/v2"

// ids makes the identifiers of one answer.
type ids struct{ rng *rand.Rand }

const alnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// make returns prefix and n random letters and digits.
func (g *ids) make(prefix string, n int) string {
	b := make([]byte, len(prefix), len(prefix)+n)
	copy(b, prefix)
	for range n {
		b = append(b, alnum[g.rng.IntN(len(alnum))])
	}
	return string(b)
}

// rngFor is the random source of the n-th request: independent of all others, so
// that what happens to a request does not hang on what runs beside it.
func rngFor(seed, n uint64) *rand.Rand {
	return rand.New(rand.NewPCG(mix(seed), mix(seed^n*0x9e3779b97f4a7c15)))
}

// mix is the finalizer of SplitMix64: neighbours become unlike.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
