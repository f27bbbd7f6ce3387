package load

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"
)

// check is a server, who asks it and what was found.
type check struct {
	options
	server   *server
	users    []*client // of the load
	masses   []*client // of the overload; the users are the first of them
	tallies  []*tally  // of all that was asked
	findings []Finding
	note     func(format string, arguments ...any)
}

func (c *check) found(what, figure string, arguments ...any) {
	c.findings = append(c.findings, Finding{what, fmt.Sprintf(figure, arguments...)})
}

// passed keeps a tally, in which nothing may have failed.
func (c *check) passed(phase string, tallies ...*tally) error {
	for _, t := range tallies {
		c.tallies = append(c.tallies, t)
		if t.failures > 0 {
			return errors.Errorf("%s: %d requests of %d failed, such as %v", phase, t.failures, t.answers(), t.first)
		}
	}
	return nil
}

// rest closes all connections and sees what the server still holds.
func (c *check) rest(ctx context.Context) (state, error) {
	closed(c.masses)
	t := newTally()
	found, err := stateOf(ctx, c.server, c.users[0], t)
	if err != nil {
		return found, err
	}
	return found, c.passed("metrics", t)
}

// load is the mixture for as long as the options say.
func (c *check) load(ctx context.Context) error {
	if err := c.passed("warm-up", steady(ctx, c.users, 3*time.Second)); err != nil {
		return err
	}
	before, err := c.rest(ctx)
	if err != nil {
		return err
	}
	c.note("%d clients for %v min", len(c.users), c.minutes)
	watching, stop := context.WithCancel(ctx)
	samples, failed := memory{}, make(chan error, 1)
	go func() {
		var err error
		samples, err = watch(watching, c.server.command.Process.Pid)
		failed <- err
	}()
	t := steady(ctx, c.users, time.Duration(c.minutes*float64(time.Minute)))
	took := time.Since(t.begun)
	stop()
	if err := <-failed; err != nil {
		return err
	}
	if err := c.passed("load", t); err != nil {
		return err
	}
	if len(t.refusals) > 0 {
		return errors.Errorf("load: %d requests of %d were refused, expected none of so many clients", len(t.refusals), t.answers())
	}
	after, err := c.rest(ctx)
	if err != nil {
		return err
	}
	c.found(fmt.Sprintf("requests of %d clients in %.1f min", len(c.users), took.Minutes()), "%d, %d errors, %.0f a second", t.answers(), t.failures, float64(t.answers())/took.Seconds())
	for _, k := range mixture {
		c.found("latency of "+k.name, "%s, of %d", quantiles(t.latencies[k.name]), len(t.latencies[k.name]))
	}
	largest := samples.thirds()
	c.found("resident memory, the largest of each third", "%.0f, %.0f and %.0f MiB; the last third %+.1f %% beside the second, at most %+.0f %% are allowed",
		mebibytes(largest[0]), mebibytes(largest[1]), mebibytes(largest[2]), 100*samples.growth(), 100*mostGrowth)
	c.found("goroutines, file descriptors", "%d and %d before, %d and %d after; at most %d more are allowed", before.goroutines, before.descriptors, after.goroutines, after.descriptors, mostLeft)
	switch {
	case samples.growth() > mostGrowth:
		return errors.Errorf("load: memory grew by %.1f %%, expected at most %.0f %%", 100*samples.growth(), 100*mostGrowth)
	case after.goroutines > before.goroutines+mostLeft || after.descriptors > before.descriptors+mostLeft:
		return errors.Errorf("load: found %+v before and %+v after", before, after)
	}
	return nil
}

// overload is too many clients, and the load again.
func (c *check) overload(ctx context.Context) error {
	// What is usual is measured just before, as the machine may have other things to
	// do than it had then.
	usual := steady(ctx, c.users, usualTime)
	if err := c.passed("load before the overload", usual); err != nil {
		return err
	}
	c.note("%d clients for %v", len(c.masses), overloadTime)
	t := overload(ctx, c.masses, overloadTime)
	if err := c.passed("overload", t); err != nil {
		return err
	}
	if len(t.refusals) == 0 {
		return errors.Errorf("overload: found no refusal among %d answers to %d clients", t.answers(), len(c.masses))
	}
	took, tallies, err := recovery(ctx, c.users, quantile(usual.all(), 0.5), recoveryBound)
	if failed := c.passed("recovery", tallies...); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	after, err := c.rest(ctx)
	if err != nil {
		return err
	}
	c.found(fmt.Sprintf("overload by %d clients for %v", len(c.masses), overloadTime), "%d answers, %d times 429 and %d times 503, all with Retry-After; nothing else", t.codes[200], t.codes[429], t.codes[503])
	c.found("latency of refusals, of answers", "%s; %s", quantiles(t.refusals), quantiles(t.all()))
	c.found("after the overload", "the first second without a refusal and with at most twice the usual median ended after %.1f s; then %d goroutines, %d descriptors, %.0f MiB",
		took.Seconds(), after.goroutines, after.descriptors, mebibytes(after.resident))
	return nil
}

// shutdown ends the server under load.
func (c *check) shutdown(ctx context.Context) error {
	c.note("SIGTERM under the load of %d clients", len(c.users))
	t, asked, lost, err := end(ctx, c.server, c.users)
	if err != nil {
		return err
	}
	if err := c.server.wait(shutdownBound); err != nil {
		return err
	}
	took := time.Since(asked)
	if err := c.passed("shutdown", t); err != nil {
		return err
	}
	if connection, err := net.Dial("tcp", strings.TrimPrefix(c.server.address, "http://")); err == nil {
		connection.Close()
		return errors.New("shutdown: found a connection, expected it to be refused")
	}
	codes, sum := map[int]int{}, 0
	for _, t := range c.tallies {
		for code, n := range t.codes {
			codes[code] += n
			sum += n
		}
	}
	if fmt.Sprint(codes) != fmt.Sprint(c.server.codes) { // maps are printed in order
		return errors.Errorf("shutdown: the clients have the answers %v by status code, expected those of the server's log, %v", codes, c.server.codes)
	}
	classes, examples, err := whole(c.server.gallery, c.users)
	if err != nil {
		return errors.WithMessage(err, "shutdown")
	}
	c.found("SIGTERM under load", "exit status 0 after %.2f s of at most %v; %d answers in that phase, and %d requests that were never taken", took.Seconds(), shutdownBound, t.answers(), lost)
	c.found("answers in all, by the clients and by the server's log", "%d and as many, the same by each status code", sum)
	c.found("gallery afterwards", "whole: %d classes, %d examples, as they were acknowledged", classes, examples)
	return nil
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

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
