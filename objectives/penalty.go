package objectives

import (
	"path"
	"strings"

	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/tensor"
)

// WeightPenalty is an L2 penalty: λ‖w‖² for every weight that the pattern matches, with
// the gradient 2λw.
type WeightPenalty struct {
	// Pattern is the name of a weight, "conv1.weight"; of a block, "conv1"; or a pattern
	// of path.Match, "conv[12].*" or "*". A block and a pattern with wildcards match
	// kernels only: biases and gains are matched by their full names only.
	Pattern string
	Lambda  float64 // λ, at least 0
}

// Penalty returns Σ λ‖w‖² over the weights of the graph that the penalties match, a
// scalar to be added to the loss. There must be at least one penalty. A weight has the λ
// of the first penalty whose pattern matches it, so exceptions come before general
// patterns; frozen weights have none. It covers the weights that the graph uses so far:
// call it last. A pattern that matches no trainable weight is an error of graph.Build.
//
// This is the λᵀ|w|² of Koch, Zemel & Salakhutdinov 2015, section 3.2, with a λ
// for each layer. The weight decay of the solver must then be off, or weights
// shrink twice; with plain gradient descent a decay of 2λ in the solver is the
// same.
func Penalty(b *graph.Builder, penalties []WeightPenalty) *graph.Node {
	e := expression{b}
	if len(penalties) == 0 {
		e.Fail("penalty: found none, expected at least one")
	}
	matched := make([]bool, len(penalties))
	var lambdas []float64
	var nodes []*graph.Node
	for _, weight := range b.WeightNodes() {
		taken := false
		for i, penalty := range penalties {
			if !e.matches(penalty, weight.Weight) {
				continue
			}
			matched[i] = true
			if !taken {
				taken = true
				lambdas = append(lambdas, penalty.Lambda)
				nodes = append(nodes, weight.Node)
			}
		}
	}
	for i, penalty := range penalties {
		if !matched[i] {
			e.Fail("penalty %q: it matches no trainable weight; there are %s", penalty.Pattern, weightNames(b))
		}
	}
	e.Describe("penalty", penalties)
	return e.scalar(e.Apply("penalty", tensor.Shape{1}, squares[float32]{lambdas}, squares[float64]{lambdas}, nodes...))
}

// matches reports whether the penalty's pattern matches the weight.
func (e expression) matches(penalty WeightPenalty, weight *graph.Weight) bool {
	if !(penalty.Lambda >= 0) {
		e.Fail("penalty %q: found λ = %v, expected at least 0", penalty.Pattern, penalty.Lambda)
	}
	if penalty.Pattern == weight.Name {
		return true
	}
	found, err := path.Match(penalty.Pattern, weight.Name)
	if err != nil {
		e.Fail("penalty %q: %v", penalty.Pattern, err)
	}
	return weight.Role == graph.Kernel && (found || strings.HasPrefix(weight.Name, penalty.Pattern+"."))
}

func weightNames(b *graph.Builder) string {
	var names []string
	for _, weight := range b.WeightNodes() {
		names = append(names, weight.Name)
	}
	return strings.Join(names, ", ")
}

// squares is Σ λᵢ‖wᵢ‖².
type squares[T graph.Float] struct{ lambdas []float64 }

// chunk is how many elements are added up in one piece: the sum depends on it,
// and so not on the number of threads.
const chunk = 1 << 14

func (f squares[T]) Forward(y []T, weights ...[]T) {
	var total float64
	for i, weight := range weights {
		sums := make([]float64, (len(weight)+chunk-1)/chunk)
		graph.Parallel(len(sums), func(k int) {
			for _, w := range weight[k*chunk : min((k+1)*chunk, len(weight))] {
				sums[k] += float64(w) * float64(w)
			}
		})
		for _, sum := range sums {
			total += f.lambdas[i] * sum
		}
	}
	y[0] = T(total)
}

func (f squares[T]) Backward(dweights, weights [][]T, _, dy []T) {
	for i, weight := range weights {
		factor, gradient := T(2*f.lambdas[i])*dy[0], dweights[i]
		graph.Parallel((len(weight)+chunk-1)/chunk, func(k int) {
			for j := k * chunk; j < min((k+1)*chunk, len(weight)); j++ {
				gradient[j] = factor * weight[j]
			}
		})
	}
}
