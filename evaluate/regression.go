package evaluate

import (
	"math"
	"slices"

	"github.com/likeness-go/likeness/internal/parallel"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
)

// regression is the cost that a LinearClassifier minimises, and its gradient.
// Its parameters are a matrix of shape (classes, columns + 1): for each class
// the weights of the standardised columns and then the bias.
type regression struct {
	set               Labelled
	targets           []int // each row's class, as an index into the classes
	classes           int
	means, deviations []float64
	regularisation    float64

	shards    []shard
	evaluated []float64 // the parameters of which result is the value
	result    evaluation
}

// evaluation is the cost at some parameters. The optimiser asks for its two
// parts apart, and they are calculated together.
type evaluation struct {
	cost     float64
	gradient []float64
}

// The rows are taken in blocks, which fit into a processor's cache, and the
// blocks are dealt out to shards, which are summed up each on its own: what
// rounding does depends on these numbers and on no other.
const (
	blockRows  = 256
	shardCount = 8
)

// shard is the sum over some of the blocks, and room for the one at hand.
type shard struct {
	evaluation
	inputs []float64 // (block's rows, columns + 1): standardised, and a 1 for the bias
	logits []float64 // (classes, block's rows), and then their gradient
}

func newRegression(set Labelled, classes []int, regularisation float64) *regression {
	r := &regression{
		set:            set,
		targets:        make([]int, set.Rows),
		classes:        len(classes),
		regularisation: regularisation,
		shards:         make([]shard, shardCount),
	}
	for i, label := range set.Labels {
		r.targets[i], _ = slices.BinarySearch(classes, label)
	}
	r.means, r.deviations = standards(set.Embeddings)
	r.result.gradient = make([]float64, r.parameters())
	for s := range r.shards {
		r.shards[s].gradient = make([]float64, r.parameters())
		r.shards[s].inputs = make([]float64, blockRows*(set.Columns+1))
		r.shards[s].logits = make([]float64, blockRows*r.classes)
	}
	return r
}

func (r *regression) parameters() int { return r.classes * (r.set.Columns + 1) }

// at returns the cost and its gradient, which belongs to the regression.
func (r *regression) at(parameters []float64) evaluation {
	if slices.Equal(parameters, r.evaluated) {
		return r.result
	}
	r.evaluated = append(r.evaluated[:0], parameters...)
	parallel.For(shardCount, func(s int) {
		r.shards[s].cost = 0
		clear(r.shards[s].gradient)
		for begin := s * blockRows; begin < r.set.Rows; begin += shardCount * blockRows {
			r.addBlock(&r.shards[s], parameters, begin, min(begin+blockRows, r.set.Rows))
		}
	})
	r.result.cost = 0
	clear(r.result.gradient)
	for _, s := range r.shards {
		r.result.cost += s.cost
		floats.Add(r.result.gradient, s.gradient)
	}
	r.result.cost /= float64(r.set.Rows)
	floats.Scale(1/float64(r.set.Rows), r.result.gradient)

	for k := range r.classes {
		from := k * (r.set.Columns + 1)
		weights, gradient := parameters[from:from+r.set.Columns], r.result.gradient[from:]
		r.result.cost += r.regularisation / 2 * floats.Dot(weights, weights)
		floats.AddScaled(gradient[:r.set.Columns], r.regularisation, weights)
	}
	return r.result
}

// addBlock adds the cross entropy of the rows [begin, end) and its gradient.
func (r *regression) addBlock(s *shard, parameters []float64, begin, end int) {
	rows, columns := end-begin, r.set.Columns+1
	r.standardise(s.inputs, begin, end)
	weights := blas64.General{Rows: r.classes, Cols: columns, Stride: columns, Data: parameters}
	inputs := blas64.General{Rows: rows, Cols: columns, Stride: columns, Data: s.inputs}
	logits := blas64.General{Rows: r.classes, Cols: rows, Stride: rows, Data: s.logits}
	gradient := blas64.General{Rows: r.classes, Cols: columns, Stride: columns, Data: s.gradient}

	blas64.Gemm(blas.NoTrans, blas.Trans, 1, weights, inputs, 0, logits)
	for i := range rows {
		s.cost += softmaxMinusTarget(s.logits[i:], rows, r.classes, r.targets[begin+i])
	}
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, logits, inputs, 1, gradient)
}

// softmaxMinusTarget returns the cross entropy of the logits at 0, stride,
// 2·stride, … and replaces them by its gradient: softmax − (1 at the target).
func softmaxMinusTarget(logits []float64, stride, classes, target int) (entropy float64) {
	most := math.Inf(-1)
	for k := range classes {
		most = max(most, logits[k*stride])
	}
	targetLogit := logits[target*stride] - most
	var sum float64
	for k := range classes {
		logits[k*stride] = math.Exp(logits[k*stride] - most) // cannot overflow
		sum += logits[k*stride]
	}
	for k := range classes {
		logits[k*stride] /= sum
	}
	logits[target*stride]--
	return math.Log(sum) - targetLogit
}

// standardise fills inputs with the rows [begin, end).
func (r *regression) standardise(inputs []float64, begin, end int) {
	columns := r.set.Columns
	for i := begin; i < end; i++ {
		input := inputs[(i-begin)*(columns+1):]
		for j, x := range r.set.Row(i) {
			input[j] = (float64(x) - r.means[j]) / r.deviations[j]
		}
		input[columns] = 1
	}
}

// unstandardise turns the parameters into weights and biases for the columns as
// they come: w·(x−m)/d + b = (w/d)·x + (b − w·m/d).
func (r *regression) unstandardise(parameters []float64) (weights, biases []float64) {
	columns := r.set.Columns
	weights, biases = make([]float64, 0, r.classes*columns), make([]float64, r.classes)
	for k := range r.classes {
		row := parameters[k*(columns+1) : (k+1)*(columns+1)]
		biases[k] = row[columns]
		for j, weight := range row[:columns] {
			weight /= r.deviations[j]
			weights = append(weights, weight)
			biases[k] -= weight * r.means[j]
		}
	}
	return weights, biases
}
