package objectives

import (
	"fmt"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// Batch is the input of a loss: N embedded examples of one kind.
type Batch struct {
	// Embeddings has one node (N, D) for each tower: left and right for pairs;
	// anchors, positives and negatives for triplets; one node for labeled images; the
	// first and the second view of each image for views.
	Embeddings []*graph.Node
	// Labels (N) are the classes of labeled images: whole numbers below 2²⁴, which
	// float32 represents exactly. For pairs they are 1 where the classes of the two
	// images differ and 0 where they are the same. For triplets and views they are nil.
	Labels *graph.Node
	// Classes is the number of classes of the training data, whose labels are 0 to
	// Classes−1. Losses with class vectors need it. It is 0 if unknown.
	Classes int
	// References are what labeled images are compared with. If nil, each image is
	// compared with all other images of the batch.
	References *References
	// Head measures the distances.
	Head heads.Head

	scope string // of Weight within a Sum: "2." for its second loss
}

// References are M embeddings with which the N anchors of a batch are compared,
// such as a memory of earlier batches, the batches of other machines, or one
// vector for each class.
type References struct {
	// Embeddings (M, D). They receive gradients if they depend on a trainable weight.
	Embeddings *graph.Node
	// Labels (M) are their classes, numbered as in Batch.Labels.
	Labels *graph.Node
	// Valid (M) is 0 for references to ignore, such as the unused part of a memory, and 1
	// for the others. If nil, all are valid. Embeddings that are ignored must be finite,
	// such as zeros.
	Valid *graph.Node
	// Self reports that the first N references are the anchors themselves, in the same
	// order (M ≥ N): anchor i is not compared with reference i, and losses of pairs count
	// the pair (i, j) of two anchors once.
	Self bool
	// Ordered, with Self, makes losses of pairs count both (i, j) and (j, i) of two anchors.
	// Each has a gradient of its own where references have none.
	Ordered bool
}

// WeightPrefix is the prefix of the names of the trainable weights that Batch.Weight
// creates. They are used in training only: checkpoints contain them, model files do not.
const WeightPrefix = "loss."

// Weight returns a trainable weight of the loss itself, such as a vector for each class
// or a temperature. Its name is "loss.NAME" ("loss.2.NAME" for the second loss of a Sum),
// by which it can have its own learning rate, as by the pattern "loss.*". Checkpoints
// contain it; a saved model does not. After the training its values are in
// model.Weights.Get("loss.NAME"). See graph.Builder.Weight for the arguments.
func (batch Batch) Weight(b *graph.Builder, name string, role graph.Role, initializer graph.Initializer, shape ...int) *graph.Node {
	return b.Weight(WeightPrefix+batch.scope+name, role, initializer, shape...)
}

// Paired returns the head's distances between the aligned rows of towers i and j: (N).
func (batch Batch) Paired(b *graph.Builder, i, j int) *graph.Node {
	if n := len(batch.Embeddings); i < 0 || j < 0 || i >= n || j >= n {
		if n == 1 {
			b.Fail("batch: found no embeddings of towers %d and %d: labeled images have one tower, 0, whose distances Pairwise returns", i, j)
		}
		b.Fail("batch: found no embeddings of towers %d and %d, expected numbers from 0 to %d", i, j, n-1)
	}
	mustBe(b, batch.checkEmbeddings())
	return batch.Head.Paired(b, batch.Embeddings[i], batch.Embeddings[j])
}

// Pairwise returns the head's distances between all anchors and all references: (N, M).
// Without References it is (N, N), with each anchor's distance to itself on the diagonal.
func (batch Batch) Pairwise(b *graph.Builder) *graph.Node {
	mustBe(b, batch.check(datasets.Labeled))
	return batch.Head.Pairwise(b, batch.Embeddings[0], batch.references().Embeddings)
}

// Positives returns a mask (N, M) with 1 for the valid references of the anchor's class,
// without the anchor itself, and 0 for the others. It has no gradient.
func (batch Batch) Positives(b *graph.Builder) *graph.Node {
	return batch.mask(b, "positives", markPositives[float32], markPositives[float64])
}

// Negatives returns a mask (N, M) with 1 for the valid references of other classes than
// the anchor's and 0 for the others. It has no gradient.
func (batch Batch) Negatives(b *graph.Builder) *graph.Node {
	return batch.mask(b, "negatives", markNegatives[float32], markNegatives[float64])
}

// ClassLabels returns the numbers of all classes, 0, 1, 2, …, of shape (Classes): the
// labels of References that have one vector for each class.
func (batch Batch) ClassLabels(b *graph.Builder) *graph.Node {
	if batch.Classes < 1 || batch.Labels == nil {
		b.Fail("batch: found %d classes, expected the number of classes of the training data and labels", batch.Classes)
	}
	return b.Apply("class labels", tensor.Shape{batch.Classes}, fixed[float32](count[float32]), fixed[float64](count[float64]), batch.Labels)
}

// pairWeights gives each pair of an anchor and a valid reference its weight in a
// mean, (N, M): 1, or, where balanced, one over the number of pairs of its kind,
// which is of one class or of two. A pair of two anchors counts once.
func (batch Batch) pairWeights(b *graph.Builder, balanced bool) *graph.Node {
	if balanced {
		return batch.mask(b, "pairs", balancePairs[float32], balancePairs[float64])
	}
	return batch.mask(b, "pairs", markPairs[float32], markPairs[float64])
}

// references are those of the batch, or the batch itself.
func (batch Batch) references() References {
	if batch.References != nil {
		return *batch.References
	}
	return References{Embeddings: batch.Embeddings[0], Labels: batch.Labels, Self: true}
}

// check reports what the batch lacks to be one of a kind.
func (batch Batch) check(kind datasets.Kind) error {
	if found, expected := len(batch.Embeddings), kind.Towers(); found != expected {
		return errors.Errorf("found the embeddings of %d towers, expected %d for %v", found, expected, kind)
	}
	if err := batch.checkEmbeddings(); err != nil || kind == datasets.Triplets || kind == datasets.Views {
		return err
	}
	n := batch.Embeddings[0].Shape()[0]
	if err := checkShape("labels", batch.Labels, n); err != nil {
		return err
	}
	r := batch.References
	if r == nil {
		return nil
	}
	if kind != datasets.Labeled {
		return errors.Errorf("found references, which %v do not have", kind)
	}
	features := batch.Embeddings[0].Shape()[1]
	if r.Embeddings == nil || r.Embeddings.Dims() != 2 || r.Embeddings.Shape()[1] != features {
		return errors.Errorf("found references of shape %s, expected (M, %d)", shapeOf(r.Embeddings), features)
	}
	m := r.Embeddings.Shape()[0]
	if r.Self && m < n {
		return errors.Errorf("found %d references, expected at least the %d anchors, because Self is set", m, n)
	}
	if err := checkShape("labels of references", r.Labels, m); err != nil || r.Valid == nil {
		return err
	}
	return checkShape("a mask of valid references", r.Valid, m)
}

// checkEmbeddings requires a head and towers of one shape (N, D).
func (batch Batch) checkEmbeddings() error {
	if batch.Head == nil {
		return errors.New("found no head, expected one to measure distances with")
	}
	for i, tower := range batch.Embeddings {
		if tower == nil || tower.Dims() != 2 || !tower.Shape().Eq(batch.Embeddings[0].Shape()) {
			return errors.Errorf("found embeddings of shape %s in tower %d and %s in tower 0, expected (N, D) in all", shapeOf(tower), i, shapeOf(batch.Embeddings[0]))
		}
	}
	return nil
}

func checkShape(what string, node *graph.Node, rows int) error {
	if node == nil || !node.Shape().Eq(tensor.Shape{rows}) {
		return errors.Errorf("found %s of shape %s, expected (%d)", what, shapeOf(node), rows)
	}
	return nil
}

func shapeOf(node *graph.Node) string {
	if node == nil {
		return "nil"
	}
	return fmt.Sprint(node.Shape())
}

// mask makes a node (N, M) of what a rule finds between the labels.
func (batch Batch) mask(b *graph.Builder, name string, f32 func([]float32, relation[float32]), f64 func([]float64, relation[float64])) *graph.Node {
	mustBe(b, batch.check(datasets.Labeled))
	labels, references := batch.labelNodes(), batch.references()
	self, ordered := references.Self, references.Ordered
	shape := tensor.Shape{labels[0].Shape()[0], labels[1].Shape()[0]}
	return b.Apply(name, shape,
		fixed[float32](func(y []float32, x ...[]float32) { f32(y, relationOf(self, x).inOrder(ordered)) }),
		fixed[float64](func(y []float64, x ...[]float64) { f64(y, relationOf(self, x).inOrder(ordered)) }), labels...)
}

// labelNodes are the operands that relationOf expects.
func (batch Batch) labelNodes() []*graph.Node {
	r := batch.references()
	nodes := []*graph.Node{batch.Labels, r.Labels}
	if r.Valid != nil {
		nodes = append(nodes, r.Valid)
	}
	return nodes
}

// fixed is a Function that is constant to training: it comes from labels.
type fixed[T graph.Float] func(y []T, x ...[]T)

func (f fixed[T]) Forward(y []T, x ...[]T) { f(y, x...) }

func (f fixed[T]) Backward(dx, _ [][]T, _, _ []T) {
	for _, d := range dx {
		clear(d)
	}
}

// relation says how the anchors of a batch and their references relate.
type relation[T graph.Float] struct {
	anchors, references []T // labels
	valid               []T // nil if all are
	self                bool
	ordered             bool
}

func relationOf[T graph.Float](self bool, x [][]T) relation[T] {
	r := relation[T]{anchors: x[0], references: x[1], self: self}
	if len(x) > 2 {
		r.valid = x[2]
	}
	return r
}

func (r relation[T]) inOrder(ordered bool) relation[T] {
	r.ordered = ordered
	return r
}

// compared reports whether anchor i is compared with reference j at all.
func (r relation[T]) compared(i, j int) bool {
	return r.isValid(j) && !(r.self && i == j)
}

func (r relation[T]) isValid(j int) bool { return r.valid == nil || r.valid[j] != 0 }

// same reports whether anchor i and reference j are of one class.
func (r relation[T]) same(i, j int) bool { return r.anchors[i] == r.references[j] }

// paired reports whether the pair counts as one: that of two anchors does so once, unless
// pairs are ordered.
func (r relation[T]) paired(i, j int) bool {
	return r.isValid(j) && !(r.self && (j == i || j < i && !r.ordered))
}

// mark sets element (i, j) of the mask to 1 where the rule holds, to 0 elsewhere.
func (r relation[T]) mark(mask []T, rule func(i, j int) bool) {
	clear(mask)
	for i := range r.anchors {
		for j := range r.references {
			if rule(i, j) {
				mask[i*len(r.references)+j] = 1
			}
		}
	}
}

func markPositives[T graph.Float](mask []T, r relation[T]) {
	r.mark(mask, func(i, j int) bool { return r.compared(i, j) && r.same(i, j) })
}

func markNegatives[T graph.Float](mask []T, r relation[T]) {
	r.mark(mask, func(i, j int) bool { return r.compared(i, j) && !r.same(i, j) })
}

func markPairs[T graph.Float](mask []T, r relation[T]) { r.mark(mask, r.paired) }

func balancePairs[T graph.Float](weights []T, r relation[T]) {
	count := map[bool]T{}
	r.mark(weights, func(i, j int) bool {
		if r.paired(i, j) {
			count[r.same(i, j)]++
			return true
		}
		return false
	})
	for i := range r.anchors {
		for j := range r.references {
			if r.paired(i, j) {
				weights[i*len(r.references)+j] /= count[r.same(i, j)]
			}
		}
	}
}

func count[T graph.Float](labels []T, _ ...[]T) {
	for i := range labels {
		labels[i] = T(i)
	}
}

// mustBe ends the building of the graph if there is an error.
func mustBe(b *graph.Builder, err error) {
	if err != nil {
		b.Fail("batch: %v", err)
	}
}
