package load

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/errors"
)

// model is the name of the embedded model.
const model = "omniglot"

// Limits of the results, and durations.
const (
	maxGrowth     = 0.1              // of the peak memory in the last third relative to the second
	maxLeft       = 8                // additional goroutines and descriptors after the load
	recoveryLimit = 10 * time.Second // after an overload
	shutdownLimit = 15 * time.Second // serve.Options.ShutdownTimeout
	baselineTime  = 10 * time.Second // before the overload
	overloadTime  = 20 * time.Second
)

// Outcome is a result of the test in words.
type Outcome struct{ What, Figure string }

// options are the options of the test.
type options struct {
	minutes        float64
	clients, crowd int // numbers of clients of the load and of the overload
	remark         string
}

func parse(arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.Float64Var(&o.minutes, "minutes", 10, "`duration` of the load")
	flags.IntVar(&o.clients, "clients", 64, "`number` of clients of the load")
	flags.IntVar(&o.crowd, "crowd", 512, "`number` of clients of the overload")
	flags.StringVar(&o.remark, "remark", "", "`text` to record with the results")
	if err := flags.Parse(arguments); err != nil {
		return o, errors.WithStack(err)
	}
	switch {
	case flags.NArg() > 0:
		return o, errors.Errorf("found the argument %q, expected only flags", flags.Arg(0))
	case o.minutes <= 0:
		return o, errors.Errorf("-minutes is %v, expected more than 0", o.minutes)
	case o.clients < 1 || o.clients > 64:
		return o, errors.Errorf("-clients is %d, expected 1 to 64, the server's maximum of concurrent requests", o.clients)
	case o.crowd <= 64:
		return o, errors.Errorf("-crowd is %d, expected more than 64, the server's maximum of concurrent requests", o.crowd)
	}
	return o, nil
}

// Run performs the test. It returns an error if the server violates a requirement.
func Run(ctx context.Context, arguments []string, note func(format string, arguments ...any)) (outcomes []Outcome, err error) {
	o, err := parse(arguments)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "load")
	if err != nil {
		return nil, errors.WithStack(err)
	}
	defer func() {
		if removing := os.RemoveAll(folder); err == nil {
			err = errors.WithStack(removing)
		}
	}()
	s, err := start(ctx, folder)
	if err != nil {
		return nil, err
	}
	defer s.kill() // if it has not ended
	crowd, err := newClients(o.crowd, s)
	if err != nil {
		return nil, err
	}
	c := &check{options: o, server: s, users: crowd[:o.clients], crowd: crowd, note: note}
	for _, phase := range []func(context.Context) error{c.load, c.overload, c.shutdown} {
		if err := phase(ctx); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if o.remark != "" {
		c.found("remark", "%s", o.remark)
	}
	return c.outcomes, nil
}

// requests lets all clients send requests, each one after the other, until the context
// ends, and waits for the pending ones. after is called after each answer.
func requests(ctx context.Context, clients []*client, t *tally, next func(*client) kind, after func(*client, int)) {
	var running sync.WaitGroup
	for _, c := range clients {
		running.Go(func() {
			for ctx.Err() == nil {
				code, err := c.ask(context.WithoutCancel(ctx), next(c), t)
				if err != nil {
					t.fail(err)
					return
				}
				after(c, code)
			}
		})
	}
	running.Wait()
}

// steady sends the mixture of requests for a duration.
func steady(ctx context.Context, clients []*client, duration time.Duration) *tally {
	bounded, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	t := newTally()
	requests(bounded, clients, t, (*client).next, func(*client, int) {})
	return t
}

// retryPause is the time that a client of an overload waits after a refusal. It is shorter
// than the second that Retry-After states.
const retryPause = 100 * time.Millisecond

// overload sends requests of more clients than the server accepts concurrently. All embed so
// many images that the queue is full before the maximum of concurrent requests is reached.
func overload(ctx context.Context, clients []*client, duration time.Duration) *tally {
	bounded, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	t := newTally()
	requests(bounded, clients, t, func(*client) kind { return embedMany }, func(_ *client, code int) {
		if refused(code) {
			time.Sleep(retryPause)
		}
	})
	return t
}

// recovery returns the time after an overload until, for one second, no request is refused
// and the median latency is at most twice the baseline in milliseconds. It also returns the
// tallies of its requests. It is an error if this takes longer than the limit.
func recovery(ctx context.Context, clients []*client, baseline float64, limit time.Duration) (took time.Duration, tallies []*tally, err error) {
	begun := time.Now()
	var seconds []string
	for time.Since(begun) < limit && ctx.Err() == nil {
		t := steady(ctx, clients, time.Second)
		tallies = append(tallies, t)
		seconds = append(seconds, fmt.Sprintf("%d answers, %d refusals, p50 %.0f ms", t.codes[200], len(t.refusals), quantile(t.all(), 0.5)))
		if len(t.refusals) == 0 && t.failures == 0 && quantile(t.all(), 0.5) <= 2*baseline {
			return time.Since(begun), tallies, nil
		}
	}
	return 0, tallies, errors.Errorf("found within %v after the overload: %s; expected a second without refusals and with a p50 of at most twice the baseline of %.0f ms", limit, strings.Join(seconds, "; "), baseline)
}

// end sends the mixture of requests, asks the server to end meanwhile, and continues until it
// accepts no more requests. lost is the number of requests that it did not answer.
func end(ctx context.Context, s *server, clients []*client) (t *tally, asked time.Time, lost int64, err error) {
	t = newTally()
	var running sync.WaitGroup
	var unanswered atomic.Int64
	for _, c := range clients {
		running.Go(func() {
			for ctx.Err() == nil {
				if _, err := c.ask(ctx, c.next(), t); err != nil {
					unanswered.Add(1)
					return
				}
			}
		})
	}
	time.Sleep(3 * time.Second)
	asked = time.Now()
	if err = s.terminate(); err != nil {
		s.kill() // ends the clients
	}
	running.Wait()
	return t, asked, unanswered.Load(), err
}

// closed closes the connections and waits, so that the server releases their resources.
func closed(clients []*client) {
	for _, c := range clients {
		c.http.CloseIdleConnections()
	}
	time.Sleep(2 * time.Second)
}
