package trainer

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// This file computes batches in parts, on one process or on several (Trainer.Parts).
//
// Each part has a graph of the backbone on all images of its examples, those of all towers
// together. Its run waits between the forward and the backward pass, while the embeddings of
// all parts are gathered and every rank runs one graph of the whole loss, which gives the
// gradients of the embeddings. A graph for each part, which keeps its activations while it
// waits, takes the memory of one graph for all parts of a rank; one graph for all parts would
// have to compute each forward pass twice, which is a third more work.
//
// The gradients of the parts are added in a binary tree over the parts (collective.TreeSum and
// Communicator.Sum), so the sums do not depend on the number of ranks. All else, the loss, its weights, the
// solver and the samplers, is the same computation on all ranks.
//
// With synchronized batch norm (Trainer.SyncBatchNorm), a run also waits at each batch norm, in both passes, until the
// runs of all parts have come there and the sums of their statistics are added up in the same tree.

// parts is what a training in parts has in place of one graph.
type parts struct {
	*run
	count    int // of all ranks
	rows     int // examples of a part
	features int
	own      []*part
	loss     *graph.Program // of the whole batch

	packed     *graph.PackedWeights // of the convolutions of all own parts; nil if there is one
	gathered   [][]float32          // the embeddings of the whole batch, of each tower
	buffers    []buffer             // running statistics of the backbone
	statistics [][]float32          // of each own part, after its run
	sums       []float32            // of the gradients, then of the statistics
	model      []gorgonia.ValueGrad
}

// part is the backbone on some examples of the batch.
type part struct {
	number  int // of all parts
	program *graph.Program
	running bool // a run waits for an answer
	pauses  chan pause
	answers chan answer

	embeddings []float32 // of the first images of all examples, then of the second ones
	given      []float32 // the gradients of the embeddings
}

// pause is where a run waits, or has ended.
type pause struct {
	at   stage
	norm string    // at a norm, its name
	sums []float64 // and what is to be added up
	err  error     // at the end
}

// stage is a place in the graph of a part.
type stage int

const (
	atNorm stage = iota
	betweenPasses
	atEnd
)

// answer lets a run go on.
type answer struct {
	gradients []float32 // of the embeddings, between the passes
	abandon   bool      // the run ends with an error
}

// wait pauses the run of a part until there is an answer. It is called by the run.
func (one *part) wait(at pause) answer {
	one.pauses <- at
	a := <-one.answers
	if a.abandon {
		panic("the step was abandoned")
	}
	return a
}

// start begins a run, and goOn continues it. Both return when it pauses; meanwhile no other run computes.
func (one *part) start() pause {
	one.running = true
	go func() { one.pauses <- pause{at: atEnd, err: one.program.Run()} }()
	return one.next()
}

func (one *part) goOn(a answer) pause {
	one.answers <- a
	return one.next()
}

func (one *part) next() pause {
	found := <-one.pauses
	one.running = found.at != atEnd
	return found
}

// between is the last operation of the graph of a part. Its forward pass gives the embeddings
// to the trainer and waits for their gradients.
type between struct{ *part }

// Forward implements graph.Function.
func (w *between) Forward(y []float32, x ...[]float32) {
	copy(w.embeddings, x[0])
	w.given = w.wait(pause{at: betweenPasses}).gradients
	y[0] = 0
}

// Backward implements graph.Function.
func (w *between) Backward(dx, _ [][]float32, _, _ []float32) {
	copy(dx[0], w.given)
}

// partCount is the number of parts of a batch.
func (t *Trainer) partCount() int { return max(1, t.Parts) }

// inParts reports whether batches are computed in parts. One part on one process is one graph.
func (t *Trainer) inParts() bool { return t.partCount() > 1 || t.Communicator.Size() > 1 }

// checkParts refuses what cannot be computed in parts.
func (t *Trainer) checkParts() error {
	ranks, count := t.Communicator.Size(), t.partCount()
	each := count / ranks
	switch {
	case t.Parts < 0:
		return errors.Errorf("field Parts: found %d, expected at least 0", t.Parts)
	case !t.inParts():
		return nil
	case count%ranks != 0 || ranks > 1 && each&(each-1) != 0:
		return errors.Errorf("field Parts: found %d parts for %d ranks, expected a multiple of the ranks by a power of two, such as %d: otherwise the sums over parts would depend on the ranks", count, ranks, partsFor(ranks))
	case len(t.Penalties) > 0:
		return errors.Errorf("field Penalties: found %d, expected none with Parts %d: use the L2 of the solver instead, or one part", len(t.Penalties), count)
	case t.Model.Weights.Dtype() != graph.Float32:
		return errors.Errorf("field Model: found weights of %v, expected float32 with Parts %d", t.Model.Weights.Dtype(), count)
	}
	return nil
}

// partsFor is a number of parts for so many ranks: 8 or a little more.
func partsFor(ranks int) int {
	parts := ranks
	for parts < 8 {
		parts *= 2
	}
	return parts
}

// newParts builds the graphs of the parts of this rank and that of the loss.
func (r *run) newParts() (built *parts, err error) {
	ranks := r.Communicator.Size()
	p := &parts{run: r, count: r.partCount()}
	defer func() {
		if built == nil {
			p.close()
		}
	}()
	if r.count%p.count != 0 {
		return nil, errors.Errorf("field Parts: a step has %d examples, which cannot be divided into %d equal parts: choose another Batch, such as %d", r.count, p.count, (r.count/p.count+1)*p.count)
	}
	p.rows = r.count / p.count
	shape, err := backbone.ShapeOf(r.Model.Backbone)
	if err != nil {
		return nil, err
	}
	p.features = shape.Features
	if p.count/ranks > 1 {
		p.packed = &graph.PackedWeights{}
	}
	for i := range p.count / ranks {
		one := &part{
			number: r.Communicator.Rank()*(p.count/ranks) + i, pauses: make(chan pause), answers: make(chan answer),
			embeddings: make([]float32, p.images()*p.features),
		}
		if one.program, err = graph.Build(r.Model.Weights, graph.Training, func(b *graph.Builder) graph.Outputs { return p.buildPart(b, one) }); err != nil {
			return nil, errors.WithMessagef(err, "the backbone on %d examples, one of %d parts", p.rows, p.count)
		}
		p.own = append(p.own, one)
	}
	p.loss, err = graph.Build(r.Model.Weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		var embeddings []*graph.Node
		for _, tower := range towers(r.kind) {
			embeddings = append(embeddings, b.Variable(embeddingsOf(tower), r.count, p.features))
			p.gathered = append(p.gathered, make([]float32, r.count*p.features))
		}
		return graph.Outputs{graph.Cost: r.cost(b, embeddings)}
	})
	if err != nil {
		return nil, err
	}
	if err := p.layOut(); err != nil {
		return nil, err
	}
	return p, nil
}

// embeddingsOf names the input of embeddings of the graph of the loss.
func embeddingsOf(tower string) string { return "embeddings of " + tower }

// buildPart adds the backbone of one part to its graph.
func (p *parts) buildPart(b *graph.Builder, one *part) graph.Outputs {
	b.Part(p.packed)
	b.SetPrecision(p.Precision)
	if p.SyncBatchNorm {
		b.ShareNorms(p.count, func(norm string, sums []float64) { one.wait(pause{at: atNorm, norm: norm, sums: sums}) })
	}
	cost := b.Apply("between the passes", tensor.ScalarShape(), &between{one}, nil, p.embed(b, imagesInput, p.images()))
	return graph.Outputs{graph.Cost: cost}
}

// imagesInput names the input of the graph of a part.
const imagesInput = "images"

// images is the number of images of a part.
func (p *parts) images() int { return p.rows * p.kind.Towers() }

// layOut gives the gradients and the running statistics their place in the sums.
func (p *parts) layOut() error {
	var sizes []int
	total := 0
	add := func(size int) {
		sizes = append(sizes, size)
		total += size
	}
	inLoss := map[string]bool{}
	for _, parameter := range p.loss.Parameters() {
		inLoss[parameter.Name()] = true
	}
	for _, parameter := range p.own[0].program.Parameters() {
		if inLoss[parameter.Name()] {
			return errors.Errorf("weight %q: both the backbone and the loss use it, expected one of them with Parts %d", parameter.Name(), p.count)
		}
		add(parameter.Value().(*tensor.Dense).Size())
	}
	for _, b := range buffersOf(p.Model.Weights) {
		if !strings.HasPrefix(b.weight.Name, objectives.WeightPrefix) { // the loss has its own, which are equal on all ranks
			p.buffers = append(p.buffers, b)
			add(b.weight.Value.Size())
		}
	}
	p.sums = make([]float32, total)
	for range p.own {
		size := 0
		for _, b := range p.buffers {
			size += b.weight.Value.Size()
		}
		p.statistics = append(p.statistics, make([]float32, size))
	}
	at := 0
	for i, parameter := range p.own[0].program.Parameters() {
		shape := parameter.Value().(*tensor.Dense).Shape().Clone()
		p.model = append(p.model, &summed{parameter, tensor.New(tensor.WithShape(shape...), tensor.WithBacking(p.sums[at:at+sizes[i]]))})
		at += sizes[i]
	}
	p.model = append(p.model, p.loss.Gradients()...)
	return nil
}

// summed is a weight of the backbone with its gradient over all parts.
type summed struct {
	*graph.Parameter
	gradient *tensor.Dense
}

// Grad returns the sum.
func (s *summed) Grad() (gorgonia.Value, error) { return s.gradient, nil }

// begin runs the forward passes of the examples, unless the training is to stop, and learns whether all
// ranks have done so. It returns whether a rank is to stop.
func (p *parts) begin(stop bool, next prepared) (bool, error) {
	err := next.err
	if stop {
		err = nil // there are no examples
	}
	if p.SyncBatchNorm { // all or none add up the statistics of norms
		if stop, err = p.Communicator.Agree("examples", stop, err); err != nil {
			return stop, err
		}
	}
	if !stop && err == nil {
		err = p.forward(next.examples)
	}
	stop, err = p.Communicator.Agree("forward passes", stop, err)
	if stop || err != nil {
		p.abandon()
	}
	return stop, err
}

// forward runs the forward passes.
func (p *parts) forward(e *examples) error {
	p.packed.Reset()
	for i, one := range p.own {
		if err := one.program.Set(imagesInput, e.images[i]); err != nil {
			return err
		}
		one.program.SetStep(uint64(p.place.Steps)*uint64(p.count) + uint64(one.number)) // dropout differs between parts
	}
	return p.advance(betweenPasses, func(i int) pause { return p.own[i].start() })
}

// advance lets all runs go on, by resume, until they are at a place. They compute one after another, each on all threads, and
// those that pause at a norm go on together.
func (p *parts) advance(to stage, resume func(i int) pause) error {
	for {
		pauses := make([]pause, len(p.own))
		for i, one := range p.own {
			pauses[i] = resume(i)
			if err := pauses[i].err; err != nil {
				return err
			}
			if to == atEnd && pauses[i].at == atEnd {
				p.keepStatistics(i)
			}
			if pauses[i].at != pauses[0].at || pauses[i].norm != pauses[0].norm || pauses[i].at > to { // a graph without a forward pass ends at once
				return errors.Errorf("part %d: its graph is not computed in the order of that of part %d", one.number, p.own[0].number)
			}
		}
		if pauses[0].at == to {
			return nil
		}
		if err := p.sumNorms(pauses); err != nil {
			return err
		}
		resume = func(i int) pause { return p.own[i].goOn(answer{}) }
	}
}

// keepStatistics keeps the running statistics after a run, and puts back those of before, from which each run moves them.
func (p *parts) keepStatistics(i int) {
	first := 0
	for _, b := range p.buffers {
		first += copy(p.statistics[i][first:], b.weight.Value.Float32s())
		b.restore()
	}
}

// sumNorms adds up the sums of a norm of all parts and gives the result to those of this rank.
func (p *parts) sumNorms(pauses []pause) error {
	var sums [][]float64
	for _, one := range pauses {
		sums = append(sums, one.sums)
	}
	if err := collective.TreeSum(sums...); err != nil {
		return err
	}
	if err := p.Communicator.SumFloat64s("batch norm "+pauses[0].norm, sums[0]); err != nil {
		return err
	}
	for _, each := range sums[1:] {
		copy(each, sums[0])
	}
	return nil
}

// abandon ends all runs that wait.
func (p *parts) abandon() {
	for _, one := range p.own {
		for one.running {
			one.goOn(answer{abandon: true})
		}
	}
}

// differentiate computes the loss of the whole batch after the forward passes, its gradients and the
// running statistics.
func (p *parts) differentiate(e *examples) (cost float64, err error) {
	defer p.abandon()
	if err := p.gather(); err != nil {
		return 0, err
	}
	if cost, err = p.learn(e); err == nil && !finite(cost) {
		err = p.diverged(fmt.Sprintf("the loss is %v", cost))
	}
	if err == nil {
		err = p.backward()
	}
	if _, err := p.Communicator.Agree("backward passes", false, err); err != nil {
		return 0, err
	}
	if err := p.collect(); err != nil {
		return 0, err
	}
	if p.FastReduce {
		err = p.Communicator.FastSum("gradients", p.sums)
	} else {
		err = p.Communicator.Sum("gradients", p.sums)
	}
	if err != nil {
		return 0, err
	}
	p.moveStatistics()
	return cost, nil
}

// gather collects the embeddings of all parts. Part i has every count-th example from the i-th on, so that
// a batch that is ordered by class has many classes in each part, whose batch norm sees only that part.
func (p *parts) gather() error {
	length := p.rows * p.features
	own := make([]float32, 0, len(p.own)*len(p.gathered)*length)
	for _, one := range p.own {
		own = append(own, one.embeddings...)
	}
	all, err := p.Communicator.Gather("embeddings", own)
	if err != nil {
		return err
	}
	for number := range p.count {
		for tower, whole := range p.gathered {
			from := all[(number*len(p.gathered)+tower)*length:]
			for row := range p.rows {
				copy(whole[(row*p.count+number)*p.features:][:p.features], from[row*p.features:])
			}
		}
	}
	return nil
}

// learn runs the graph of the loss.
func (p *parts) learn(e *examples) (float64, error) {
	for i, tower := range towers(p.kind) {
		if err := p.loss.Set(embeddingsOf(tower), p.gathered[i]); err != nil {
			return 0, err
		}
	}
	if name := labelsInput(p.kind); name != "" {
		if err := p.loss.Set(name, e.labels); err != nil {
			return 0, err
		}
	}
	if p.memory != nil {
		if err := p.memory.Set(p.loss); err != nil {
			return 0, err
		}
	}
	p.loss.SetStep(uint64(p.place.Steps))
	if err := p.loss.Run(); err != nil {
		return 0, err
	}
	return p.loss.Scalar(graph.Cost)
}

// backward runs the backward passes with the gradients of the embeddings of each part. Each run moves the
// running statistics from where they were before the step.
func (p *parts) backward() error {
	var whole [][]float32
	for _, tower := range towers(p.kind) {
		gradient, err := p.loss.InputGradient(embeddingsOf(tower))
		if err != nil {
			return err
		}
		whole = append(whole, gradient)
	}
	for _, b := range p.buffers {
		b.keep()
	}
	return p.advance(atEnd, func(i int) pause {
		gradients := make([]float32, 0, p.images()*p.features)
		for tower := range whole {
			for row := range p.rows {
				gradients = append(gradients, whole[tower][(row*p.count+p.own[i].number)*p.features:][:p.features]...)
			}
		}
		return p.own[i].goOn(answer{gradients: gradients})
	})
}

// collect adds up the gradients and the statistics of the parts of this rank.
func (p *parts) collect() error {
	at := 0
	for i := range p.own[0].program.Parameters() {
		gradients := make([][]float32, len(p.own))
		for n, one := range p.own {
			value, err := one.program.Parameters()[i].Grad()
			if err != nil {
				return err
			}
			gradients[n] = value.(*tensor.Dense).Float32s()
		}
		if err := collective.TreeSum(gradients...); err != nil {
			return err
		}
		at += copy(p.sums[at:], gradients[0])
	}
	if err := collective.TreeSum(p.statistics...); err != nil {
		return err
	}
	copy(p.sums[at:], p.statistics[0])
	return nil
}

// moveStatistics sets the running statistics to the mean of those of the parts.
func (p *parts) moveStatistics() {
	sums := p.sums[len(p.sums)-len(p.statistics[0]):]
	for _, b := range p.buffers {
		for i := range b.weight.Value.Float32s() {
			b.weight.Value.Float32s()[i] = sums[i] / float32(p.count)
		}
		sums = sums[b.weight.Value.Size():]
	}
	p.Model.Weights.Changed()
}

// embeddings are those of the whole batch, of the first tower.
func (p *parts) embeddings() []float64 { return widen(p.gathered[0]) }

// close ends the graphs.
func (p *parts) close() {
	if p == nil {
		return
	}
	p.abandon()
	for _, one := range p.own {
		_ = one.program.Close()
	}
	_ = p.loss.Close()
}

// positions are those of the examples of a part in the batch.
func (p *parts) positions(number int) []int {
	positions := make([]int, p.rows)
	for row := range positions {
		positions[row] = row*p.count + number
	}
	return positions
}

// structure identifies the graphs.
func (p *parts) structure() string { return p.own[0].program.Structure() + " " + p.loss.Structure() }

// shared returns a number that rank 0 computes.
func (r *run) shared(name string, compute func() (float64, error)) (float64, error) {
	data, err := r.Communicator.FromRoot(name, func() ([]byte, error) {
		value, err := compute()
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(value)), err
	})
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(data)), nil
}

// parameterNames lists the names of the weights that are trained.
func (r *run) parameterNames() (names []string) {
	programs := []*graph.Program{r.program}
	if r.parts != nil {
		programs = []*graph.Program{r.parts.own[0].program, r.parts.loss}
	}
	for _, program := range programs {
		for _, parameter := range program.Parameters() {
			names = append(names, parameter.Name())
		}
	}
	return slices.Clip(names)
}
