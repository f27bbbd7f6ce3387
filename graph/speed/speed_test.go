package speed

import (
	"fmt"
	"testing"
	"time"
)

func TestPrint(t *testing.T) {
	for _, l := range Layers() {
		for _, m := range l.Measure(300 * time.Millisecond) {
			fmt.Printf("%-28s %-8s %8.2f ms %6.0f GFLOP/s\n", l.Name, m.Pass, m.Time.Seconds()*1e3, m.Rate()/1e9)
		}
	}
}
