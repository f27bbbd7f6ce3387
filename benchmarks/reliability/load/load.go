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

// model is of the zoo.
const model = "omniglot"

// Bounds of what is found.
const (
	mostGrowth    = 0.1              // of the largest memory of the last third above that of the second
	mostLeft      = 8                // goroutines and descriptors after the load beyond those before
	recoveryBound = 10 * time.Second // after an overload
	shutdownBound = 15 * time.Second // serve.Options.ShutdownTimeout
	usualTime     = 10 * time.Second // before the overload
	overloadTime  = 20 * time.Second
)

// Finding is one thing that was measured.
type Finding struct{ What, Figure string }

// options are the check's.
type options struct {
	minutes        float64
	clients, crowd int // of the load, of the overload
	remark         string
}

func parse(arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.Float64Var(&o.minutes, "minutes", 10, "`length` of the load")
	flags.IntVar(&o.clients, "clients", 64, "`number` of clients of the load")
	flags.IntVar(&o.crowd, "crowd", 512, "`number` of clients of the overload")
	flags.StringVar(&o.remark, "remark", "", "`text` to record with the findings")
	if err := flags.Parse(arguments); err != nil {
		return o, errors.WithStack(err)
	}
	switch {
	case flags.NArg() > 0:
		return o, errors.Errorf("found the argument %q, expected flags alone", flags.Arg(0))
	case o.minutes <= 0:
		return o, errors.Errorf("-minutes is %v, expected more than 0", o.minutes)
	case o.clients < 1 || o.clients > 64:
		return o, errors.Errorf("-clients is %d, expected 1 to the 64 that the server takes at a time", o.clients)
	case o.crowd <= 64:
		return o, errors.Errorf("-crowd is %d, expected more than the 64 that the server takes at a time", o.crowd)
	}
	return o, nil
}

// Run makes the check. It ends with an error where the server broke a promise.
func Run(ctx context.Context, arguments []string, note func(format string, arguments ...any)) (findings []Finding, err error) {
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
	c := &check{options: o, server: s, users: crowd[:o.clients], masses: crowd, note: note}
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
	return c.findings, nil
}

// crowd lets clients ask, each one thing after the other, until the context ends;
// a request that was begun then is waited for. after is told of each answer.
func crowd(ctx context.Context, clients []*client, t *tally, next func(*client) kind, after func(*client, int)) {
	var asking sync.WaitGroup
	for _, c := range clients {
		asking.Go(func() {
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
	asking.Wait()
}

// steady is the load of the mixture for a time.
func steady(ctx context.Context, clients []*client, duration time.Duration) *tally {
	bounded, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	t := newTally()
	crowd(bounded, clients, t, (*client).next, func(*client, int) {})
	return t
}

// impatience is how long a client of an overload waits after a refusal, which asks
// it to wait for a second.
const impatience = 100 * time.Millisecond

// overload is more clients than the server takes at a time, all of which embed: so
// many images that the queue is full before the places are.
func overload(ctx context.Context, clients []*client, duration time.Duration) *tally {
	bounded, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	t := newTally()
	crowd(bounded, clients, t, func(*client) kind { return embedMany }, func(_ *client, code int) {
		if refused(code) {
			time.Sleep(impatience)
		}
	})
	return t
}

// recovery is how long after an overload it takes until for a second nothing is
// refused and half of the answers come within twice the usual time, in milliseconds,
// with what was asked meanwhile. It is an error if that is not within the bound.
func recovery(ctx context.Context, clients []*client, usual float64, bound time.Duration) (took time.Duration, tallies []*tally, err error) {
	begun := time.Now()
	var seconds []string
	for time.Since(begun) < bound && ctx.Err() == nil {
		t := steady(ctx, clients, time.Second)
		tallies = append(tallies, t)
		seconds = append(seconds, fmt.Sprintf("%d answers, %d refusals, p50 %.0f ms", t.codes[200], len(t.refusals), quantile(t.all(), 0.5)))
		if len(t.refusals) == 0 && t.failures == 0 && quantile(t.all(), 0.5) <= 2*usual {
			return time.Since(begun), tallies, nil
		}
	}
	return 0, tallies, errors.Errorf("found within %v after the overload: %s; expected a second without refusals and with a p50 of at most twice the usual %.0f ms", bound, strings.Join(seconds, "; "), usual)
}

// end is the load of the mixture until the server, which is asked to end meanwhile,
// takes no more requests. lost are those that it did not answer.
func end(ctx context.Context, s *server, clients []*client) (t *tally, asked time.Time, lost int64, err error) {
	t = newTally()
	var asking sync.WaitGroup
	var unanswered atomic.Int64
	for _, c := range clients {
		asking.Go(func() {
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
		s.kill() // so that the clients end
	}
	asking.Wait()
	return t, asked, unanswered.Load(), err
}

// closed waits until the server's connections are closed on both sides, so that what
// it holds for them can be counted.
func closed(clients []*client) {
	for _, c := range clients {
		c.http.CloseIdleConnections()
	}
	time.Sleep(2 * time.Second)
}
