package trainer

import (
	"context"
	"reflect"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// maxPrefix is the largest number of bytes that the results of a prefix may take. It is a
// constant, so that one training gives the same weights on machines of any memory.
const maxPrefix = 1 << 30

// Prefix is the first blocks of a network that training does not change, because their
// weights and running statistics are all frozen, and their results for images, which are
// computed once. Several trainings that begin with these blocks can share it, see
// Trainer.Prefix, and so can embedding, see Embed. It is safe for concurrent use.
type Prefix struct {
	network backbone.Network
	blocks  int   // number of them
	frozen  int   // blocks up to the last with weights; those after it have none
	shape   []int // of the result for one image
	values  []float32

	// Of those that NewPrefix returns: what must be equal where it is used.
	images        *datasets.Dataset
	preprocessing imaging.Preprocessing
	weights       map[string][]float32
}

// NewPrefix computes the results of the first blocks of a model for images: of all blocks
// before the first with a weight or a running statistic that is not frozen, see
// graph.Weights.Freeze and FreezeStatistics. Dropout, stochastic depth and blocks of a user's
// own end them, too. Blocks without weights after the last frozen weight belong to them if their
// results are not larger, such as the pooling before a linear layer. It returns nil, without an
// error, if there is no such block, if the network is not a backbone.Network, or if the results
// would take more than 1 GiB. It returns the error of the context if that ends. Ranks of a job, with a context of
// collective.NewContext, each compute some of the images and exchange the results.
func NewPrefix(ctx context.Context, model *likeness.Model, images *datasets.Dataset) (*Prefix, error) {
	p, err := newPrefix(ctx, nil, model, images)
	return p, errors.Wrap(err, "compute frozen layers")
}

// Extend is NewPrefix with the results that p has already, which are not computed again. The values
// are those of NewPrefix, bit for bit. p does not change, and may be nil.
func (p *Prefix) Extend(ctx context.Context, model *likeness.Model, images *datasets.Dataset) (*Prefix, error) {
	extended, err := newPrefix(ctx, p, model, images)
	return extended, errors.Wrap(err, "compute frozen layers")
}

// newPrefix computes the results that known, which may be nil, does not have.
func newPrefix(ctx context.Context, known *Prefix, model *likeness.Model, images *datasets.Dataset) (*Prefix, error) {
	if ctx == nil || model == nil || model.Backbone == nil || model.Weights == nil || images == nil {
		return nil, errors.New("found no context, no model or no images, expected all of them")
	}
	if err := model.CheckFloat(); err != nil {
		return nil, err
	}
	if err := datasets.CheckImages(images); err != nil {
		return nil, err
	}
	p, err := frozenPrefix(model, images.Len(), true)
	if err != nil || p == nil {
		return nil, err
	}
	p.images, p.preprocessing, p.weights = images, model.Preprocessing, map[string][]float32{}
	names, err := p.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		p.weights[name] = slices.Clone(model.Weights.Get(name).Value.Float32s())
	}
	if known.Fits(model) && known.blocks == p.blocks {
		return p, p.computeMissing(ctx, known, model)
	}
	if err := p.compute(ctx, collective.FromContext(ctx), model, images); err != nil {
		return nil, err
	}
	return p, ctx.Err()
}

// computeMissing takes the results from known where it has them, and computes the others.
func (p *Prefix) computeMissing(ctx context.Context, known *Prefix, model *likeness.Model) error {
	rows := p.images.PositionsIn(known.images)
	var missing []int
	for i, row := range rows {
		if row < 0 {
			missing = append(missing, i)
		}
	}
	others := *p
	if len(missing) > 0 {
		if err := others.compute(ctx, collective.FromContext(ctx), model, p.images.Subset(missing)); err != nil {
			return err
		}
	}
	n := p.length()
	p.values = make([]float32, len(rows)*n)
	for i, row := range rows {
		if row >= 0 {
			copy(p.values[i*n:(i+1)*n], known.values[row*n:])
		}
	}
	for k, i := range missing {
		copy(p.values[i*n:(i+1)*n], others.values[k*n:])
	}
	return ctx.Err()
}

// names are those of the weights of the blocks.
func (p *Prefix) names() (names []string, err error) {
	weights := graph.NewZeroWeights(graph.Float32)
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		size := p.network.Size
		return graph.Outputs{"result": b.Sequence(p.network.Blocks[:p.blocks], b.Input("images", 1, size.Height, size.Width, size.Channels))}
	})
	if err != nil {
		return nil, err
	}
	for _, weight := range weights.All() {
		names = append(names, weight.Name)
	}
	return names, program.Close()
}

// of returns the prefix as that of a model, and the rows of images in it. ok is false if the
// first blocks of the model are others, or if an image is not among those of the prefix.
func (p *Prefix) of(model *likeness.Model, images datasets.Images) (own *Prefix, rows []int, ok bool) {
	some, isDataset := images.(*datasets.Dataset)
	if !isDataset || !p.Fits(model) {
		return nil, nil, false
	}
	if rows, ok = some.IndicesIn(p.images); !ok {
		return nil, nil, false
	}
	shared := *p
	shared.network = model.Backbone.(backbone.Network)
	return &shared, rows, true
}

// Fits reports whether the first blocks of a model are those of the prefix, with the same weights and
// preprocessing. A nil Prefix fits no model.
func (p *Prefix) Fits(model *likeness.Model) bool {
	if p == nil || p.images == nil || model == nil || model.Weights == nil {
		return false
	}
	network, isNetwork := model.Backbone.(backbone.Network)
	if !isNetwork || network.Size != p.network.Size || len(network.Blocks) < p.blocks ||
		!reflect.DeepEqual(network.Blocks[:p.blocks], p.network.Blocks[:p.blocks]) || !reflect.DeepEqual(model.Preprocessing, p.preprocessing) {
		return false
	}
	for name, values := range p.weights {
		if weight := model.Weights.Get(name); weight == nil || !slices.Equal(weight.Value.Float32s(), values) {
			return false
		}
	}
	return true
}

// embedBatch is the number of images that Embed computes at a time.
const embedBatch = 64

// Embed returns the embeddings of images by a model whose first blocks are those of the
// prefix, with the same weights and preprocessing. They are those of likeness.Model.EmbedAll
// but for rounding, and only the other blocks are computed. ok is false, without an error, if
// the model begins with other blocks, or if an image is not among those of NewPrefix or of
// datasets derived from the same one.
func (p *Prefix) Embed(ctx context.Context, model *likeness.Model, images datasets.Images) (embeddings evaluate.Embeddings, ok bool, err error) {
	if ctx == nil {
		return evaluate.Embeddings{}, false, errors.New("embed: found no context")
	}
	own, rows, ok := p.of(model, images)
	if !ok || len(rows) == 0 {
		return evaluate.Embeddings{}, false, nil
	}
	embeddings, err = own.embedRows(ctx, model, rows)
	return embeddings, err == nil, errors.Wrap(err, "embed")
}

func (p *Prefix) embedRows(ctx context.Context, model *likeness.Model, rows []int) (embeddings evaluate.Embeddings, err error) {
	if p.blocks == len(p.network.Blocks) { // the results are the embeddings
		embeddings = evaluate.Embeddings{Rows: len(rows), Columns: p.length(), Data: make([]float32, len(rows)*p.length())}
		p.fill(embeddings.Data, rows)
		return embeddings, nil
	}
	count := min(embedBatch, len(rows))
	program, err := graph.Build(model.Weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"embeddings": p.embed(b, "results", count)}
	})
	if err != nil {
		return embeddings, err
	}
	defer func() { _ = program.Close() }()
	input := make([]float32, count*p.length())
	batch := make([]int, count)
	for from := 0; from < len(rows); from += count {
		if err := ctx.Err(); err != nil {
			return embeddings, err
		}
		for i := range batch {
			batch[i] = rows[min(from+i, len(rows)-1)] // the last images fill the batch
		}
		p.fill(input, batch)
		if err := program.Set("results", input); err != nil {
			return embeddings, err
		}
		if err := program.Run(); err != nil {
			return embeddings, err
		}
		values, err := program.Float32s("embeddings")
		if err != nil {
			return embeddings, err
		}
		embeddings.Columns = len(values) / count
		embeddings.Data = append(embeddings.Data, values[:min(count, len(rows)-from)*embeddings.Columns]...)
	}
	embeddings.Rows = len(rows)
	for i, v := range embeddings.Data {
		if v-v != 0 { // NaN or infinite
			return embeddings, errors.Errorf("image %d: found the embedding value %v, expected finite numbers: the weights are extreme", i/embeddings.Columns, v)
		}
	}
	return embeddings, nil
}

// choosePrefix chooses the prefix of the training: Trainer.Prefix if it fits, or one of its
// own; none if nothing can be computed once.
func (r *run) choosePrefix() (err error) {
	if r.Augment != nil {
		return nil
	}
	if r.prefix, err = frozenPrefix(r.Model, r.Images.Len(), false); err != nil || r.prefix == nil {
		return err
	}
	if shared, rows, ok := r.Trainer.Prefix.of(r.Model, r.Images); ok && shared.blocks == r.prefix.blocks {
		r.prefix, r.rows = shared, rows
	}
	return nil
}

// rowsOf are the rows of training images in the prefix.
func (r *run) rowsOf(images []int) []int {
	if r.rows == nil { // its own prefix
		return images
	}
	rows := make([]int, len(images))
	for i, image := range images {
		rows[i] = r.rows[image]
	}
	return rows
}

// frozenPrefix returns the longest prefix whose weights are all frozen and whose results
// are the same in every step; nil if there is none, or if its results for a number of images
// would take too much memory. Only if entire is set, it may be the whole network.
func frozenPrefix(model *likeness.Model, images int, entire bool) (*Prefix, error) {
	network, ok := model.Backbone.(backbone.Network)
	if !ok {
		return nil, nil
	}
	frozen := func(name string) bool {
		weight := model.Weights.Get(name)
		return weight != nil && weight.Frozen
	}
	var found *Prefix
	weights := graph.NewZeroWeights(graph.Float32)
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		size := network.Size
		x := b.Input("images", 1, size.Height, size.Width, size.Channels)
		for i, block := range network.Blocks {
			if !constant(block) {
				break
			}
			before := len(weights.All())
			x = b.SequenceFrom(i, network.Blocks[:i+1], x)
			all := weights.All()
			for _, weight := range all {
				if !frozen(weight.Name) {
					return graph.Outputs{"result": x}
				}
			}
			if len(all) > before { // blocks without weights alone are not worth it
				found = &Prefix{network: network, blocks: i + 1, frozen: i + 1, shape: x.Shape()[1:]}
			} else if found != nil && (entire || i+1 < len(network.Blocks)) {
				next := Prefix{network: network, blocks: i + 1, frozen: found.frozen, shape: x.Shape()[1:]}
				if next.length() <= found.length() {
					found = &next
				}
			}
		}
		return graph.Outputs{"result": x}
	})
	if err != nil {
		return nil, errors.Wrap(err, "frozen layers")
	}
	if err := program.Close(); err != nil {
		return nil, err
	}
	if found == nil || found.blocks == len(network.Blocks) && !entire || float64(images)*float64(found.length()) > maxPrefix/4 {
		return nil, nil
	}
	return found, nil
}

// constant reports whether a block with frozen weights computes the same in training as in
// evaluation. User-defined blocks may not.
func constant(block graph.Block) bool {
	switch block := block.(type) {
	case graph.Residual:
		for _, inner := range append(append([]graph.Block{}, block.Body...), block.Shortcut...) {
			if !constant(inner) {
				return false
			}
		}
		return block.Drop == 0
	case graph.Conv, graph.Linear, graph.BatchNorm, graph.MaxPool, graph.AveragePool, graph.GlobalAveragePool, graph.GeM,
		graph.Flatten, graph.Normalize, graph.Activate, graph.LayerNorm, graph.Scale, graph.SqueezeExcite:
		return true
	}
	return false
}

// length is the number of values of one image.
func (p *Prefix) length() int {
	n := 1
	for _, extent := range p.shape {
		n *= extent
	}
	return n
}

// embed adds the blocks after the prefix to the graph of a step.
func (p *Prefix) embed(b *graph.Builder, tower string, count int) *graph.Node {
	return b.SequenceFrom(p.blocks, p.network.Blocks, b.Input(tower, append([]int{count}, p.shape...)...))
}

// fill writes the results of rows.
func (p *Prefix) fill(dst []float32, rows []int) {
	n := p.length()
	for i, row := range rows {
		copy(dst[i*n:(i+1)*n], p.values[row*n:])
	}
}

// prefixBatch is the number of images that are computed at a time.
const prefixBatch = 16

// compute computes the results for all images, of which each rank computes some. It does nothing without a prefix, or if they
// have been computed.
func (p *Prefix) compute(ctx context.Context, ranks *collective.Communicator, model *likeness.Model, images datasets.Images) error {
	if p == nil || p.values != nil {
		return nil
	}
	batches := (images.Len() + prefixBatch - 1) / prefixBatch
	each := (batches + ranks.Size() - 1) / ranks.Size()
	own := make([]float32, each*prefixBatch*p.length())
	first := min(ranks.Rank()*each*prefixBatch, images.Len())
	last := min(first+each*prefixBatch, images.Len())
	err := p.computeSome(ctx, model, images, own, first, last)
	stop, err := ranks.Agree("frozen layers", ctx.Err() != nil, err)
	if err != nil || stop && ctx.Err() != nil {
		return err
	}
	if stop {
		return context.Canceled // of another rank
	}
	if ranks.Size() > 1 {
		if own, err = ranks.Gather("frozen layers", own); err != nil {
			return err
		}
	}
	p.values = own[:images.Len()*p.length()]
	return nil
}

// computeSome writes the results for the images from first to last.
func (p *Prefix) computeSome(ctx context.Context, model *likeness.Model, images datasets.Images, values []float32, first, last int) error {
	size := images.ImageSize()
	program, err := graph.Build(model.Weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		x := b.Input("images", prefixBatch, size.Height, size.Width, size.Channels)
		return graph.Outputs{"result": b.Sequence(p.network.Blocks[:p.blocks], x)}
	})
	if err != nil {
		return errors.Wrap(err, "frozen layers")
	}
	defer func() { _ = program.Close() }()
	n := p.length()
	input := make([]float32, prefixBatch*size.Len())
	indices := make([]int, prefixBatch)
	for from := first; from < last && ctx.Err() == nil; from += prefixBatch {
		for i := range indices {
			indices[i] = min(from+i, images.Len()-1) // the last images fill the batch
		}
		if err := p.one(program, input, images, indices, model.Preprocessing); err != nil {
			return err
		}
		result, err := program.Float32s("result")
		if err != nil {
			return err
		}
		result = result[:min(prefixBatch, images.Len()-from)*n]
		for i, v := range result {
			if v-v != 0 { // NaN or infinite
				return errors.Errorf("frozen layers: their result for image %s is %v, expected finite numbers: the weights or the preprocessing are extreme", images.Source(from+i/n), v)
			}
		}
		copy(values[(from-first)*n:], result)
	}
	return nil
}

// one runs the program on a batch.
func (p *Prefix) one(program *graph.Program, input []float32, images datasets.Images, indices []int, preprocessing imaging.Preprocessing) error {
	if err := datasets.Fill(input, images, indices, preprocessing, nil, 0, 0, "images"); err != nil {
		return err
	}
	if err := program.Set("images", input); err != nil {
		return err
	}
	return program.Run()
}
