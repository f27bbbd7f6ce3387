package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pkg/errors"
)

func TestTally(t *testing.T) {
	sums := newTally()
	for i := range 100 {
		sums.answer("embed", 200, time.Duration(100-i)*time.Millisecond)
	}
	sums.answer("embed", 429, time.Millisecond)
	sums.answer("health", 503, 3*time.Millisecond)
	sums.answer("health", 500, time.Hour)
	for range 10 {
		sums.fail(errors.New("for a reason"))
	}
	if found := quantiles(sums.all()); found != "p50 50.0 ms, p90 90.0 ms, p99 99.0 ms" {
		t.Errorf("found %s", found)
	}
	if diff := cmp.Diff(map[int]int{200: 100, 429: 1, 503: 1, 500: 1}, sums.codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if sums.answers() != 103 || quantile(sums.refusals, 1) != 3 || sums.failures != 10 || len(sums.first) != 5 {
		t.Errorf("found %d answers, the refusals %v, %d failures, %v", sums.answers(), sums.refusals, sums.failures, sums.first)
	}
	if found := quantile(nil, 0.5); found != 0 {
		t.Errorf("of nothing: found %v", found)
	}
}
