package parallel

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/pkg/errors"
)

func TestEachCallsEveryIndexOnce(t *testing.T) {
	calls := make([]atomic.Int64, 1000)
	if err := Each(context.Background(), 0, len(calls), func(i int) error { calls[i].Add(1); return nil }); err != nil {
		t.Fatal(err)
	}
	for i := range calls {
		if calls[i].Load() != 1 {
			t.Fatalf("index %d was called %d times, expected once", i, calls[i].Load())
		}
	}
	if err := Each(context.Background(), 0, 0, func(int) error { return errors.New("called") }); err != nil {
		t.Error(err)
	}
}

func TestEachReturnsTheErrorOfTheLowestIndex(t *testing.T) {
	defer SetThreads(Threads())
	for _, threads := range []int{1, 2, 7} {
		SetThreads(threads)
		for range 50 {
			var calls atomic.Int64
			err := Each(context.Background(), 0, 100, func(i int) error {
				calls.Add(1)
				if i >= 30 && i%2 == 0 {
					return errors.Errorf("item %d", i)
				}
				return nil
			})
			if err == nil || err.Error() != "item 30" {
				t.Fatalf("%d threads: found error %v, expected item 30", threads, err)
			}
			if calls.Load() < 31 {
				t.Fatalf("%d threads: found %d calls, expected all up to the one that fails", threads, calls.Load())
			}
		}
	}
}

// A panic in one of the goroutines would end the process.
func TestEachReturnsPanicsAsErrors(t *testing.T) {
	panics := func(i int) {
		if i == 3 {
			panic("broken")
		}
	}
	work := Each(context.Background(), 0, 10, func(i int) error { panics(i); return nil })
	onDone := EachProgress(context.Background(), 1, 10, func(done, _ int) { panics(done - 1) }, func(int) error { return nil })
	for _, err := range []error{work, onDone} {
		if want := "item 3: panic: broken (each_test.go:54)"; err == nil || err.Error() != want {
			t.Errorf("found error %v, expected %s", err, want)
		}
	}
}

// With many threads, files are opened by a limited number of them.
func TestEachKeepsTheLimit(t *testing.T) {
	defer SetThreads(Threads())
	for _, limits := range []struct{ threads, limit, want int }{
		{4 * MaxOpenFiles, MaxOpenFiles, MaxOpenFiles}, {3, MaxOpenFiles, 3}, {3, 0, 3}, {3, 1, 1},
	} {
		SetThreads(limits.threads)
		var running, largest atomic.Int64
		err := Each(context.Background(), limits.limit, 8*MaxOpenFiles, func(int) error {
			storeMax(&largest, running.Add(1))
			runtime.Gosched()
			running.Add(-1)
			return nil
		})
		if got := largest.Load(); err != nil || got > int64(limits.want) {
			t.Errorf("%+v: found %d calls at the same time, error %v", limits, got, err)
		}
	}
}

func TestEachEndsWithItsContext(t *testing.T) {
	defer SetThreads(Threads())
	SetThreads(1)
	ctx, cancel := context.WithCancel(context.Background())
	var calls atomic.Int64
	err := Each(ctx, 0, 100, func(i int) error {
		calls.Add(1)
		if i == 10 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || calls.Load() != 11 {
		t.Errorf("found error %v after %d calls, expected context.Canceled after 11", err, calls.Load())
	}
	failure := errors.New("failure")
	if err := Each(ctx, 0, 100, func(int) error { return failure }); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: found error %v, expected context.Canceled", err)
	}
	var none context.Context
	if err := Each(none, 0, 3, func(int) error { return nil }); err != nil {
		t.Errorf("a nil context: found error %v", err)
	}
}

func TestEachProgressCountsTheCalls(t *testing.T) {
	last := 0
	err := EachProgress(context.Background(), 0, 50, func(done, total int) {
		if done != last+1 || total != 50 {
			t.Errorf("found %d of %d, expected %d of 50", done, total, last+1)
		}
		last = done
	}, func(int) error { return nil })
	if err != nil || last != 50 {
		t.Errorf("found %d calls done, error %v, expected 50", last, err)
	}
}
