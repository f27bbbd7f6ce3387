package load

import (
	"os"
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

func TestGrowth(t *testing.T) {
	settled := memory{10, 50, 90, 100, 98, 99, 100, 97, 99}
	if found := settled.thirds(); found != [3]int64{90, 100, 100} || settled.growth() != 0 {
		t.Errorf("found %v, %v", found, settled.growth())
	}
	if found := (memory{10, 20, 30, 40, 50, 60, 70, 80, 90}).growth(); found != 0.5 {
		t.Errorf("found %v, want 0.5", found)
	}
}

func TestProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("there is no /proc")
	}
	if bytes, err := resident(os.Getpid()); err != nil || bytes < 1<<20 {
		t.Errorf("found %d bytes, %v", bytes, err)
	}
	before, err := descriptors(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if after, err := descriptors(os.Getpid()); err != nil || after != before+1 {
		t.Errorf("found %d descriptors, %v, want one more than %d", after, err, before)
	}
}
