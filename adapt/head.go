package adapt

import (
	"slices"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
)

// The training of a head. Its rank and the number of steps keep it to a second for each fold;
// more steps make unseen classes worse.
const (
	headRank         = 64
	headSteps        = 100
	headClasses      = 32 // of a batch, with two images each
	headLearningRate = 1e-4
	headTemperature  = 0.1
)

// trainHead trains the layers of a method that follow others, on the classes outside of a
// fold, with the n-pair loss and the cosine distance.
func (f *fitter) trainHead(fold *fold, before []layer, method Method) (layer, error) {
	classes := f.rowsOutside(fold)
	inputs, err := applyLayers(before, f.set.Select(concat(classes)))
	if err != nil {
		return layer{}, err
	}
	body := []graph.Block{
		graph.Linear{Units: min(headRank, inputs.Columns), NoBias: true},
		graph.Linear{Units: inputs.Columns, NoBias: true, Weight: graph.Constant(0)},
	}
	if method == TwoLayerHead {
		body[0] = graph.Linear{Units: min(headRank, inputs.Columns), NoBias: true, Activation: "relu"}
	}
	block := graph.Residual{Body: body}
	drawn := min(headClasses, len(classes))
	weights := graph.NewWeights(graph.Float32, random.Seed(f.Seed, "adapt", "head"))
	program, err := graph.Build(weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		embeddings := block.Apply(b, 1, b.Input("embeddings", 2*drawn, inputs.Columns))
		batch := objectives.Batch{Embeddings: []*graph.Node{embeddings}, Labels: b.Input("labels", 2*drawn), Head: heads.Cosine{}}
		return graph.Outputs{graph.Cost: objectives.NPair{Temperature: headTemperature}.Cost(b, batch)}
	})
	if err != nil {
		return layer{}, errors.Wrapf(err, "train a %s", method)
	}
	defer program.Close()
	starts := make([]int, len(classes)) // of the rows of each class in the inputs
	for i := 1; i < len(classes); i++ {
		starts[i] = starts[i-1] + len(classes[i-1])
	}
	labels := make([]float32, 2*drawn)
	for i := range labels {
		labels[i] = float32(i / 2)
	}
	if err := program.Set("labels", labels); err != nil {
		return layer{}, err
	}
	adam := &solver.Adam{LearningRate: headLearningRate}
	for step := range headSteps {
		if err := f.ctx.Err(); err != nil {
			return layer{}, err
		}
		r := random.New(f.Seed, "adapt", "head", step)
		var rows []int
		for _, class := range r.Perm(len(classes))[:drawn] {
			n := len(classes[class])
			left, right := r.IntN(n), r.IntN(n-1)
			if right >= left {
				right++
			}
			rows = append(rows, starts[class]+left, starts[class]+right)
		}
		if err := program.Set("embeddings", inputs.Select(rows).Data); err != nil {
			return layer{}, err
		}
		if err := program.Run(); err != nil {
			return layer{}, errors.Wrapf(err, "train a %s", method)
		}
		if err := adam.Step(program.Gradients()); err != nil {
			return layer{}, errors.Wrapf(err, "train a %s", method)
		}
	}
	trained := layer{block: block}
	for _, weight := range weights.All() {
		trained.weights = append(trained.weights, slices.Clone(weight.Value.Float32s()))
	}
	return trained, nil
}

// concat is slices.Concat of the rows of classes.
func concat(classes [][]int) []int { return slices.Concat(classes...) }

// layer is a block of the adapted network that follows the network of the model.
type layer struct {
	block   graph.Block
	weights [][]float32 // in the order in which the block creates them
}

// fill sets weights that the blocks of layers have created, in their order.
func fill(weights []*graph.Weight, layers []layer) error {
	for _, layer := range layers {
		for _, values := range layer.weights {
			if len(weights) == 0 || weights[0].Value.Size() != len(values) {
				return errors.New("the weights of the layers do not fit the network")
			}
			copy(weights[0].Value.Float32s(), values)
			weights = weights[1:]
		}
	}
	return nil
}

// applyLayers computes the layers of embeddings, as a model does, in float32.
func applyLayers(layers []layer, e evaluate.Embeddings) (evaluate.Embeddings, error) {
	if len(layers) == 0 || e.Rows == 0 {
		return e, nil
	}
	const most = 256
	batch := min(most, e.Rows)
	var blocks []graph.Block
	for _, layer := range layers {
		blocks = append(blocks, layer.block)
	}
	weights := graph.NewZeroWeights(graph.Float32)
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"embeddings": b.Sequence(blocks, b.Input("inputs", batch, e.Columns))}
	})
	if err != nil {
		return evaluate.Embeddings{}, err
	}
	defer program.Close()
	if err := fill(weights.All(), layers); err != nil {
		return evaluate.Embeddings{}, err
	}
	result := evaluate.Embeddings{Rows: e.Rows}
	inputs := make([]float32, batch*e.Columns)
	for from := 0; from < e.Rows; from += batch {
		count := min(batch, e.Rows-from)
		clear(inputs[copy(inputs, e.Data[from*e.Columns:(from+count)*e.Columns]):])
		if err := program.Set("inputs", inputs); err != nil {
			return evaluate.Embeddings{}, err
		}
		if err := program.Run(); err != nil {
			return evaluate.Embeddings{}, err
		}
		values, err := program.Float32s("embeddings")
		if err != nil {
			return evaluate.Embeddings{}, err
		}
		result.Columns = len(values) / batch
		result.Data = append(result.Data, values[:count*result.Columns]...)
	}
	return result, nil
}
