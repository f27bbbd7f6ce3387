package solver_test

import (
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/likeness-go/likeness/solver"
)

// ofGraph is a Parameter in a Gorgonia graph whose gradient is a node.
type ofGraph struct {
	*gorgonia.Node
	gradient *gorgonia.Node
}

func (p ofGraph) Decays() bool                  { return true }
func (p ofGraph) Grad() (gorgonia.Value, error) { return p.gradient.Value(), nil }

// train minimises Σ(Xw − y)² + λ‖w‖² for ten steps and returns w. The penalty
// is a term of the graph; a λ of zero leaves it out.
func train(t *testing.T, s gorgonia.Solver, penalty float64) []float64 {
	t.Helper()
	g := gorgonia.NewGraph()
	matrix := tensor.New(tensor.WithShape(4, 3), tensor.WithBacking([]float64{0.5, -1, 2, 1.5, 0.25, -0.5, -0.75, 1.25, 1, 0.1, 0.2, -0.3}))
	x := gorgonia.NodeFromAny(g, matrix, gorgonia.WithName("x"))
	y := gorgonia.NodeFromAny(g, vector(1, 0.5, -1.5, 2), gorgonia.WithName("y"))
	w := gorgonia.NodeFromAny(g, vector(0.3, -0.2, 0.1), gorgonia.WithName("w"))
	must := gorgonia.Must

	residual := must(gorgonia.Sub(must(gorgonia.Mul(x, w)), y))
	cost := must(gorgonia.Sum(must(gorgonia.Square(residual))))
	if penalty > 0 {
		norm := must(gorgonia.Sum(must(gorgonia.Square(w))))
		cost = must(gorgonia.Add(cost, must(gorgonia.Mul(gorgonia.NewConstant(penalty), norm))))
	}
	gradients, err := gorgonia.Grad(cost, w)
	if err != nil {
		t.Fatal(err)
	}
	machine := gorgonia.NewTapeMachine(g)
	defer machine.Close()
	for range 10 {
		machine.Reset()
		if err := machine.RunAll(); err != nil {
			t.Fatal(err)
		}
		mustStep(t, s, []gorgonia.ValueGrad{ofGraph{w, gradients[0]}})
	}
	return elements(w.Value().(*tensor.Dense))
}

// The solver's L2 and the objective's term are one penalty: 2λw.
func TestL2IsTheGraphsTerm(t *testing.T) {
	const penalty = 0.2
	solvers := map[string]func(l2 float64) solver.Solver{
		"sgd":  func(l2 float64) solver.Solver { return &solver.SGD{LearningRate: 0.02, Momentum: 0.9, L2: l2} },
		"adam": func(l2 float64) solver.Solver { return &solver.Adam{LearningRate: 0.1, L2: l2} },
	}
	for name, newSolver := range solvers {
		t.Run(name, func(t *testing.T) {
			inSolver, inGraph := train(t, newSolver(penalty), 0), train(t, newSolver(0), penalty)
			wantNear(t, inSolver, inGraph, 1e-12)
			if without := train(t, newSolver(0), 0); without[0]-inGraph[0] < 0.01 && inGraph[0]-without[0] < 0.01 {
				t.Errorf("the penalty changes nothing: %v with it, %v without", inGraph, without)
			}
		})
	}
}

// A Gorgonia solver takes the same parameters, and takes the same steps where
// it is right: Adam.
func TestGorgoniasSolverIsInterchangeable(t *testing.T) {
	theirs := gorgonia.NewAdamSolver(gorgonia.WithLearnRate(0.1))
	ours := &solver.Adam{LearningRate: 0.1}
	wantNear(t, train(t, ours, 0), train(t, theirs, 0), 1e-9)
}
