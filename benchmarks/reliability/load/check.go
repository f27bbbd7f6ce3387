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

// check is a test of a server.
type check struct {
	options
	server   *server
	users    []*client // clients of the load
	crowd    []*client // clients of the overload; the first of them are the users
	tallies  []*tally  // of all requests
	outcomes []Outcome
	note     func(format string, arguments ...any)
}

func (c *check) found(what, figure string, arguments ...any) {
	c.outcomes = append(c.outcomes, Outcome{what, fmt.Sprintf(figure, arguments...)})
}

// passed records tallies and returns an error if a request failed.
func (c *check) passed(phase string, tallies ...*tally) error {
	for _, t := range tallies {
		c.tallies = append(c.tallies, t)
		if t.failures > 0 {
			return errors.Errorf("%s: %d of %d requests failed, for example %v", phase, t.failures, t.answers(), t.first)
		}
	}
	return nil
}

// rest closes all connections and returns the state of the idle server.
func (c *check) rest(ctx context.Context) (state, error) {
	closed(c.crowd)
	t := newTally()
	found, err := stateOf(ctx, c.server, c.users[0], t)
	if err != nil {
		return found, err
	}
	return found, c.passed("metrics", t)
}

// load sends the mixture of requests for the duration of the options.
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
		return errors.Errorf("load: %d of %d requests were refused, expected none with this number of clients", len(t.refusals), t.answers())
	}
	after, err := c.rest(ctx)
	if err != nil {
		return err
	}
	c.found(fmt.Sprintf("requests of %d clients in %.1f min", len(c.users), took.Minutes()), "%d, %d errors, %.0f per second", t.answers(), t.failures, float64(t.answers())/took.Seconds())
	for _, k := range mixture {
		c.found("latency of "+k.name, "%s, %d requests", quantiles(t.latencies[k.name]), len(t.latencies[k.name]))
	}
	largest := samples.thirds()
	c.found("resident memory, maximum of each third", "%.0f, %.0f and %.0f MiB; growth from the second to the last third %+.1f %%, limit %+.0f %%",
		mebibytes(largest[0]), mebibytes(largest[1]), mebibytes(largest[2]), 100*samples.growth(), 100*maxGrowth)
	c.found("goroutines, file descriptors", "%d and %d before, %d and %d after; limit %d more", before.goroutines, before.descriptors, after.goroutines, after.descriptors, maxLeft)
	switch {
	case samples.growth() > maxGrowth:
		return errors.Errorf("load: memory grew by %.1f %%, expected at most %.0f %%", 100*samples.growth(), 100*maxGrowth)
	case after.goroutines > before.goroutines+maxLeft || after.descriptors > before.descriptors+maxLeft:
		return errors.Errorf("load: found %+v before and %+v after", before, after)
	}
	return nil
}

// overload sends requests of too many clients, and then the load again.
func (c *check) overload(ctx context.Context) error {
	// The baseline is measured immediately before, because other programs may load the
	// machine at other times.
	baseline := steady(ctx, c.users, baselineTime)
	if err := c.passed("load before the overload", baseline); err != nil {
		return err
	}
	c.note("%d clients for %v", len(c.crowd), overloadTime)
	t := overload(ctx, c.crowd, overloadTime)
	if err := c.passed("overload", t); err != nil {
		return err
	}
	if len(t.refusals) == 0 {
		return errors.Errorf("overload: found no refusals among %d answers to %d clients", t.answers(), len(c.crowd))
	}
	took, tallies, err := recovery(ctx, c.users, quantile(baseline.all(), 0.5), recoveryLimit)
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
	c.found(fmt.Sprintf("overload by %d clients for %v", len(c.crowd), overloadTime), "%d answers, %d times 429 and %d times 503, all with Retry-After; no other answers", t.codes[200], t.codes[429], t.codes[503])
	c.found("latency of refusals, of answers", "%s; %s", quantiles(t.refusals), quantiles(t.all()))
	c.found("after the overload", "recovered after %.1f s (one second without refusals and with at most twice the baseline's median latency); then %d goroutines, %d descriptors, %.0f MiB",
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
	if err := c.server.wait(shutdownLimit); err != nil {
		return err
	}
	took := time.Since(asked)
	if err := c.passed("shutdown", t); err != nil {
		return err
	}
	if connection, err := net.Dial("tcp", strings.TrimPrefix(c.server.address, "http://")); err == nil {
		connection.Close()
		return errors.New("shutdown: the server accepted a connection, expected that it is refused")
	}
	codes, sum := map[int]int{}, 0
	for _, t := range c.tallies {
		for code, n := range t.codes {
			codes[code] += n
			sum += n
		}
	}
	if fmt.Sprint(codes) != fmt.Sprint(c.server.codes) { // maps are printed in order
		return errors.Errorf("shutdown: the clients received %v answers by status code, expected %v as in the server's log", codes, c.server.codes)
	}
	classes, examples, err := whole(c.server.gallery, c.users)
	if err != nil {
		return errors.WithMessage(err, "shutdown")
	}
	c.found("SIGTERM under load", "exit status 0 after %.2f s (limit %v); %d answers in that phase, and %d requests that were not accepted", took.Seconds(), shutdownLimit, t.answers(), lost)
	c.found("answers in total, received by the clients and logged by the server", "%d, equal for each status code", sum)
	c.found("gallery afterwards", "intact: %d classes, %d examples, as acknowledged", classes, examples)
	return nil
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// tally counts the answers to requests. It is safe for concurrent use.
type tally struct {
	mutex     sync.Mutex
	begun     time.Time
	latencies map[string][]float64 // in milliseconds by kind, of answers with status 200
	refusals  []float64            // in milliseconds, of answers with status 429 or 503
	codes     map[int]int          // number of answers by status code
	failures  int                  // number of wrong answers
	first     []error              // the first errors
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

// fail adds a failed request.
func (t *tally) fail(err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.failures++; len(t.first) < 5 {
		t.first = append(t.first, err)
	}
}

// refused reports whether a status code is that of an overloaded server.
func refused(code int) bool { return code == 429 || code == 503 }

// answers returns the number of answers.
func (t *tally) answers() (sum int) {
	for _, n := range t.codes {
		sum += n
	}
	return sum
}

// all returns the latencies of all kinds.
func (t *tally) all() (all []float64) {
	for _, kind := range t.latencies {
		all = append(all, kind...)
	}
	return all
}

// quantile returns the empirical quantile p, 0 to 1, of latencies; 0 if there are none.
func quantile(latencies []float64, p float64) float64 {
	if len(latencies) == 0 {
		return 0
	}
	return stat.Quantile(p, stat.Empirical, slices.Sorted(slices.Values(latencies)), nil)
}

// quantiles formats quantiles of latencies.
func quantiles(latencies []float64) string {
	return fmt.Sprintf("p50 %.1f ms, p90 %.1f ms, p99 %.1f ms", quantile(latencies, 0.5), quantile(latencies, 0.9), quantile(latencies, 0.99))
}
