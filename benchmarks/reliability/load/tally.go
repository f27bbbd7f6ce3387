package load

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"gonum.org/v1/gonum/stat"
)

// tally is what came of requests. Many goroutines may add to it at once.
type tally struct {
	mutex     sync.Mutex
	begun     time.Time
	latencies map[string][]float64 // in milliseconds, by kind: of requests that were answered with 200
	refusals  []float64            // in milliseconds: of those that got 429 or 503
	codes     map[int]int          // answers by status code
	failures  int                  // requests without the answer that they should have
	first     []error              // a few of their reasons
}

func newTally() *tally {
	return &tally{begun: time.Now(), latencies: map[string][]float64{}, codes: map[int]int{}}
}

// answer adds an answer to a request of the kind.
func (t *tally) answer(kind string, code int, took time.Duration) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.codes[code]++
	switch milliseconds := took.Seconds() * 1e3; {
	case code == 200:
		t.latencies[kind] = append(t.latencies[kind], milliseconds)
	case refused(code):
		t.refusals = append(t.refusals, milliseconds)
	}
}

// fail adds a request that came to something else than it should have.
func (t *tally) fail(err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.failures++; len(t.first) < 5 {
		t.first = append(t.first, err)
	}
}

// refused says whether a code is that of a server with too much to do.
func refused(code int) bool { return code == 429 || code == 503 }

// answers is how many requests were answered.
func (t *tally) answers() (sum int) {
	for _, n := range t.codes {
		sum += n
	}
	return sum
}

// all are the latencies of all kinds.
func (t *tally) all() (all []float64) {
	for _, kind := range t.latencies {
		all = append(all, kind...)
	}
	return all
}

// quantile is the smallest latency that a part p of them, 0 to 1, does not exceed; 0
// of none.
func quantile(latencies []float64, p float64) float64 {
	if len(latencies) == 0 {
		return 0
	}
	return stat.Quantile(p, stat.Empirical, slices.Sorted(slices.Values(latencies)), nil)
}

// quantiles says how long answers took.
func quantiles(latencies []float64) string {
	return fmt.Sprintf("p50 %.1f ms, p90 %.1f ms, p99 %.1f ms", quantile(latencies, 0.5), quantile(latencies, 0.9), quantile(latencies, 0.99))
}
