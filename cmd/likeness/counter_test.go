package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Where there is no terminal, a long job has a line for each tenth that is done,
// but the last, and a short one has none.
func TestCounter(t *testing.T) {
	for _, test := range []struct {
		name  string
		unit  unit
		quiet time.Duration
		want  []string
	}{
		{"a long job", unit{what: "images"}, 0, []string{"10 of 100 images", "33 of 100 images", "96 of 100 images"}},
		{"bytes", unit{what: "a.gz", bytes: true}, 0, []string{"a.gz: 1.0 of 10.0 MB", "a.gz: 3.3 of 10.0 MB", "a.gz: 9.6 of 10.0 MB"}},
		{"a short job", unit{what: "images"}, time.Hour, nil},
	} {
		var said strings.Builder
		c := newCounter(&said, test.unit)
		c.quiet = test.quiet
		each := int64(1)
		if test.unit.bytes {
			each = 1e5
		}
		for _, done := range []int64{0, 9, 10, 11, 33, 96, 97, 100} {
			c.show(done*each, 100*each)
		}
		c.close()
		want := strings.Join(append(test.want, ""), "\n")
		if diff := cmp.Diff(want, said.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
