package speed_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/speed"
)

// Each layer has three passes, with the number of operations of a direct convolution.
func TestMeasure(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a second")
	}
	layer := speed.Layers()[2]
	if want := "7×7, 64→64, 3×3"; layer.Name != want {
		t.Fatalf("found layer %q, expected %q", layer.Name, want)
	}
	measurements := layer.Measure(time.Millisecond)
	for i, pass := range []string{"forward", "dX", "dW"} {
		m := measurements[i]
		if m.Pass != pass || m.Operations != 2*128*7*7*64*64*9 || m.Time <= 0 {
			t.Errorf("found %+v, expected %s", m, pass)
		}
	}
}

// A layer in bfloat16 has the passes of the layer in float32.
func TestMeasureInBFloat16(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a second")
	}
	layers := speed.RoundedLayers()
	if want := "56×56, 128→128, 3×3, stride 2"; layers[2].Name != want {
		t.Fatalf("found layer %q, expected %q", layers[2].Name, want)
	}
	measurements := layers[5].In(graph.BFloat16).Measure(time.Millisecond)
	if len(measurements) != 3 || measurements[2].Operations != 2*16*7*7*512*2048 || measurements[2].Time <= 0 {
		t.Errorf("found %+v", measurements)
	}
}

// The numbers are those that the processor has instructions for.
func TestPeaks(t *testing.T) {
	for _, p := range speed.Peaks(1, time.Millisecond) {
		if p.Numbers != "bfloat16" && p.Numbers != "int8" || !(p.Rate > 0) || p.Used && p.Numbers == "int8" {
			t.Errorf("found %+v", p)
		}
	}
}

func ExampleCeiling() {
	rate, instructions := speed.Ceiling(1, time.Millisecond)
	fmt.Println(rate > 1e8, instructions != "")
	// Output: true true
}

// Memory is slower than a thousand gigabytes and faster than a tenth of one.
func TestBandwidth(t *testing.T) {
	if testing.Short() {
		t.Skip("it copies 128 MiB")
	}
	if rate := speed.Bandwidth(1, time.Millisecond); !(rate > 1e8 && rate < 1e12) {
		t.Errorf("found %v bytes per second", rate)
	}
	if rate := speed.Bandwidth(0, time.Millisecond); rate != 0 {
		t.Errorf("without threads: found %v bytes per second", rate)
	}
}
