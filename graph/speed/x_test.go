package speed

import (
	"fmt"
	"testing"
	"time"

	"github.com/likeness-go/likeness/graph"
)

func TestThreads(t *testing.T) {
	for _, i := range []int{1, 4, 5} {
		for _, n := range []int{1, 2} {
			graph.SetThreads(n)
			for _, m := range Layers()[i].Measure(600 * time.Millisecond) {
				fmt.Printf("%-28s %-8s threads %d %8.2f ms %6.0f GFLOP/s\n", Layers()[i].Name, m.Pass, n, m.Time.Seconds()*1e3, m.Rate()/1e9)
			}
		}
	}
}
