package objectives_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
)

// The order of a batch changes nothing: the cost stays, and gradients move
// with their embeddings.
func TestOrderOfTheBatchDoesNotCount(t *testing.T) {
	forEach(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		if samples(o) {
			return // the random numbers are those of places in the batch
		}
		p := problemFor(o, 4, 8, 3)
		order := random.New(1, "order").Perm(p.rows)
		shuffled := problem{rows: p.rows, features: p.features, towers: make([][]float64, len(p.towers))}
		for _, from := range order {
			shuffled.labels = append(shuffled.labels, p.labels[from])
			for i, tower := range p.towers {
				shuffled.towers[i] = append(shuffled.towers[i], tower[from*p.features:(from+1)*p.features]...)
			}
		}
		before, after := p.run(t, o, head, graph.Float64), shuffled.run(t, o, head, graph.Float64)
		if math.Abs(before.cost-after.cost) > 1e-12 {
			t.Errorf("cost %v became %v", before.cost, after.cost)
		}
		for name, gradient := range before.gradients {
			if len(gradient) != p.rows*p.features {
				continue // of a head's weight or the bias
			}
			for to, from := range order {
				moved := after.gradients[name][to*p.features : (to+1)*p.features]
				if diff := cmp.Diff(gradient[from*p.features:(from+1)*p.features], moved, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
					t.Errorf("gradient of %s, row %d: %s", name, from, diff)
				}
			}
		}
	})
}

// Classes are names: other labels in the same partition give the same cost.
func TestLabelsAreNames(t *testing.T) {
	for _, o := range every {
		if o.Kind() != datasets.Labeled || hasVectors(o) || perClass(o) {
			continue
		}
		p := problemFor(o, 5, 8, 3)
		before := p.run(t, o, plainHead(o), graph.Float32)
		for i, label := range p.labels {
			p.labels[i] = map[float64]float64{0: 1<<24 - 1, 1: 1<<24 - 2, 2: 17}[label]
		}
		if after := p.run(t, o, plainHead(o), graph.Float32); after.cost != before.cost {
			t.Errorf("%s: cost %v became %v", o.Name(), before.cost, after.cost)
		}
	}
}

// Where all that is alike is at one place, and all else beyond the margin,
// objectives with a margin ask for nothing more.
func TestNothingLeftToLearn(t *testing.T) {
	for _, o := range []objectives.Loss{
		objectives.Contrastive{Margin: 1}, objectives.Triplet{Margin: 1},
		objectives.BatchContrastive{Margin: 1}, objectives.BatchContrastive{Margin: 1, Balanced: true},
		objectives.BatchAll{Margin: 1}, objectives.BatchHard{Margin: 1}, objectives.SemiHard{Margin: 1},
	} {
		p := problem{rows: 4, features: 2, labels: []float64{0, 0, 1, 1}}
		switch o.Kind().Towers() {
		case 1:
			p.towers = [][]float64{{3, 0, 3, 0, 0, 4, 0, 4}}
		case 2:
			p.towers = [][]float64{{3, 0, 0, 4, 3, 0, 0, 4}, {3, 0, 0, 4, 0, 4, 3, 0}}
		case 3:
			p.towers = [][]float64{{3, 0, 3, 0, 0, 4, 0, 4}, {3, 0, 3, 0, 0, 4, 0, 4}, {0, 4, 0, 4, 3, 0, 3, 0}}
		}
		for _, name := range []string{"l2", "l1", "weighted-l1"} {
			head, err := objectives.HeadFor(o, name)
			if err != nil {
				t.Fatal(err)
			}
			checkZero(t, o.Name()+"/"+name, p.run(t, o, head, graph.Float32))
		}
	}
}

func checkZero(t *testing.T, what string, r result) {
	t.Helper()
	if r.cost != 0 {
		t.Errorf("%s: cost %v, want 0", what, r.cost)
	}
	for name, gradient := range r.gradients {
		for i, g := range gradient {
			if g != 0 {
				t.Errorf("%s: gradient of %s[%d] is %v, want 0", what, name, i, g)
			}
		}
	}
}

// A batch without anything to compare has the loss 0.
func TestBatchesWithNothingToJudge(t *testing.T) {
	forEach(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		if o.Kind().Towers() > 1 || hasVectors(o) {
			return
		}
		tests := map[string][]float64{"one image": {3}}
		ofPairs := false // of one kind
		switch o := o.(type) {
		case objectives.BatchContrastive, objectives.BatchCrossEntropy:
			ofPairs = true
		case objectives.MultiSimilarity:
			ofPairs = o.Mining == objectives.AllPairs
		}
		if !ofPairs {
			tests["one class"] = []float64{2, 2, 2, 2}
			tests["all of different classes"] = []float64{0, 1, 2, 3}
		}
		for name, labels := range tests {
			p := problemFor(o, 6, len(labels), 3)
			p.labels = labels
			for _, dtype := range arithmetics {
				checkZero(t, name, p.run(t, o, head, dtype))
			}
		}
	})
}

// Batches of one pair or triplet, of one class, of no class twice, and of
// embeddings that are equal or zero, have finite costs and gradients.
func TestDegenerateBatchesAreFinite(t *testing.T) {
	forEach(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		for name, change := range map[string]func(p *problem){
			"one row":   func(p *problem) { *p = problemFor(o, 1, 1, p.features) },
			"one label": func(p *problem) { clear(p.labels) },
			"all different": func(p *problem) {
				for i := range p.labels {
					if p.labels[i] = 1; len(p.towers) == 1 {
						p.labels[i] = float64(i)
					}
				}
			},
			"zero embeddings": func(p *problem) {
				for _, tower := range p.towers {
					clear(tower)
				}
			},
			"equal embeddings": func(p *problem) {
				for _, tower := range p.towers {
					for i := range tower {
						tower[i] = 0.75
					}
				}
			},
			"far apart": func(p *problem) {
				for _, tower := range p.towers {
					for i := range tower {
						tower[i] *= 1e4
					}
				}
			},
		} {
			for _, dtype := range arithmetics {
				p := problemFor(o, 7, 6, 3)
				change(&p)
				r := p.run(t, o, head, dtype)
				if !(math.Abs(r.cost) < 1e12) {
					t.Errorf("%s: cost %v", name, r.cost)
				}
				for weight, gradient := range r.gradients {
					for i, g := range gradient {
						if !(math.Abs(g) < 1e12) {
							t.Errorf("%s: gradient of %s[%d] is %v", name, weight, i, g)
						}
					}
				}
			}
		}
	})
}

// An embedding that is not a number makes a cost that is none, never a batch
// that looks as if there were nothing to learn.
func TestNaNShows(t *testing.T) {
	forEach(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		p := problemFor(o, 8, 6, 3)
		p.towers[0][5*3] = math.NaN()
		if len(p.towers) == 1 && !hasVectors(o) {
			p.labels[5] = 99 // no anchor of its own: it shows as the others' negative
		}
		if r := p.run(t, o, head, graph.Float32); !math.IsNaN(r.cost) {
			t.Errorf("cost %v, want NaN", r.cost)
		}
	})
}

// Losses and gradients are equal bit for bit on any number of threads.
func TestThreadsChangeNothing(t *testing.T) {
	defer graph.SetThreads(graph.Threads())
	forEach(t, func(t *testing.T, o objectives.Loss, head heads.Head) {
		for name, p := range problemFor(o, 9, 33, 5).forms(o) {
			graph.SetThreads(1)
			one := p.run(t, o, head, graph.Float32)
			graph.SetThreads(4)
			four := p.run(t, o, head, graph.Float32)
			if one.cost != four.cost || !cmp.Equal(one.gradients, four.gradients) {
				t.Errorf("%s: one thread and four differ: costs %v and %v", name, one.cost, four.cost)
			}
		}
	})
}
