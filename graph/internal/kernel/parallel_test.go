package kernel

import (
	"testing"

	"github.com/likeness-go/likeness/internal/parallel"
	"go.uber.org/goleak"
)

// Scratch memory and workers are kept while somebody retains them, and no longer.
func TestScratchIsKeptWhileRetained(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(9)
	releaseAll()
	defer func() { releaseAll = Retain() }()
	used := func() int {
		divide(9, func(w *workspace[float32], _ int) { grow(&w.values, 100) })
		float32Scratch.Lock()
		defer float32Scratch.Unlock()
		return len(float32Scratch.idle)
	}
	before := goleak.IgnoreCurrent()
	if n := used(); n != 0 {
		t.Errorf("not retained: found %d workspaces, expected none", n)
	}
	goleak.VerifyNone(t, before)
	first, second := Retain(), Retain()
	for range 2 { // the second call has no effect
		first()
	}
	if used() == 0 {
		t.Error("retained: found no workspaces, expected some")
	}
	second()
	if float32Scratch.idle != nil {
		t.Errorf("no longer retained: found %d workspaces, expected none", len(float32Scratch.idle))
	}
	goleak.VerifyNone(t, before)
}
