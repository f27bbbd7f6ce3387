package load

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pkg/errors"
)

func TestParse(t *testing.T) {
	for text, arguments := range map[string][]string{
		"-minutes is 0":                  {"-minutes", "0"},
		"-clients is 65":                 {"-clients", "65"},
		"-crowd is 64, expected more":    {"-crowd", "64"},
		`found the argument "overnight"`: {"overnight"},
	} {
		if o, err := parse(arguments); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("found %+v, %v, want %s", o, err, text)
		}
	}
}

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
