package load

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/errors"
)

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
