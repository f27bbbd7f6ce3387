package load

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLog(t *testing.T) {
	s := &server{logged: make(chan struct{}), codes: map[int]int{}}
	s.read(strings.NewReader(`time=2026-01-01T00:00:00Z level=INFO msg=request request=A method=POST route=/v1/embed code=200 duration=1ms
time=2026-01-01T00:00:00Z level=INFO msg=request request=B method=GET route=/healthz code=200 duration=1ms
time=2026-01-01T00:00:00Z level=ERROR msg=request request=C method=GET route=/healthz code=503 duration=1ms error="the end"
interrupted
`))
	if diff := cmp.Diff(map[int]int{200: 2, 503: 1}, s.codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"interrupted"}, s.others); diff != "" {
		t.Errorf("others (-want +got):\n%s", diff)
	}
}
