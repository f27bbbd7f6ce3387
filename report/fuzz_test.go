package report

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/testutil"
)

// Whatever the text, it is refused or comes back as it was.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"dataset":"MNIST","seed":18446744073709551615,"threshold":0.5,"metrics":{"recall@1":{"value":0.9}},"made_with":{}}`))
	f.Add([]byte(`{"metrics":null,"threshold":1e999}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r Report
		var err error
		testutil.LimitAllocations(t, 64*len(text), func() { r, err = parse(text) })
		if err != nil {
			return
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(written)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Metrics) == 0 {
			r.Metrics, again.Metrics = nil, nil // JSON tells none from null
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Errorf("(-read +read again):\n%s", diff)
		}
		r.Rows()
	})
}
