package adapt

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
)

// ErrTooFew is the error if there are too few classes, or too few images in them.
var ErrTooFew = errors.New("too few classes or images")

const (
	// MinClasses is the minimum number of classes of two or more images: two for each fold.
	MinClasses = 2 * folds
	// folds is the number of parts of the classes, each of which is held out once.
	folds = 3
	// maxHeldOut is the number of embeddings of a fold that are measured. Retrieval compares
	// all pairs of them for each candidate.
	maxHeldOut = 512
	// maxPairs is the number of pairs of a fold from which the threshold is chosen.
	maxPairs = 10_000
)

// Options are the options of Fit and Folder. The zero value is useful.
type Options struct {
	// Features is the number of features of the adapted embeddings; 0 keeps the number of
	// the model. With fewer features the embeddings are whitened and reduced in any case, to
	// the directions in which they vary most in proportion to the variation within classes.
	Features int
	// HalfPrecision rounds the weights of the layers to half-precision numbers, as the file of a
	// model with HalfPrecision has them. Folder sets it for such a model.
	HalfPrecision bool
	// NoHead trains no head after the whitening.
	NoHead bool
	// Seed draws the folds, the measured embeddings and the batches of trained layers.
	Seed uint64
	// SkipBroken makes Folder skip files that cannot be read; see retrieval.Options.
	SkipBroken bool
	// OnProgress, unless it is nil, is called by Folder with the number of embedded images.
	OnProgress func(done, total int)
}

// Method is a kind of adaptation.
type Method string

const (
	// Frozen leaves the embeddings as they are.
	Frozen Method = "frozen"
	// Whitened is within-class whitening with shrinkage.
	Whitened Method = "whitened"
	// LinearHead is Whitened followed by y + V·U·y with trained U and V of a small rank, which
	// begins at V = 0 (Hu et al. 2022, "LoRA: Low-rank adaptation of large language models").
	LinearHead Method = "linear head"
	// TwoLayerHead is Whitened followed by y + V·max(U·y, 0), likewise.
	TwoLayerHead Method = "two-layer head"
)

// Candidate is an adaptation with its quality on held-out classes.
type Candidate struct {
	Method Method
	// Shrinkage is the strength λ of the shrinkage; 0 for Frozen.
	Shrinkage float64
	// Features is the number of features of the embeddings.
	Features int
	// RecallAt1 and MAPAtR are those of evaluate.Retrieve among the held-out embeddings of a
	// fold, over the queries of all folds. Intervals resample whole classes.
	RecallAt1, MAPAtR evaluate.Estimate
	// Gain is the difference of MAPAtR from that of the frozen embeddings on the same queries.
	Gain evaluate.Estimate
}

// Adaptation is the result of Fit.
type Adaptation struct {
	// Candidates are all that were measured. The first is Frozen.
	Candidates []Candidate
	// Chosen is the one that was taken, fitted to all classes.
	Chosen Candidate
	// Threshold is the largest distance at which two images are considered the same. It is
	// the best of pairs of held-out classes.
	Threshold float64
	// Classes and Images are the numbers of those with two or more images in their class; the
	// others are not used. HeldOut is the number of measured embeddings.
	Classes, Images, HeldOut int
	// Seconds is the duration of Fit.
	Seconds float64
	// Skipped lists the files that Folder could not read, with the reasons, if
	// Options.SkipBroken is set.
	Skipped []string

	columns int // features of the embeddings before
	layers  []layer
	options Options // of Fit
}

// Fit chooses and fits an adaptation of the embeddings of a set of labeled images. metric is
// the distance of the frozen embeddings, that of likeness.Model.Metric; the distance of
// adapted ones is the cosine. There must be at least MinClasses classes of two images or
// more, or the error wraps ErrTooFew. The result depends on the seed, and not on the number
// of threads.
func Fit(ctx context.Context, metric evaluate.Metric, set evaluate.Labeled, o Options) (*Adaptation, error) {
	a, err := fit(ctx, metric, set, o)
	return a, errors.Wrap(err, "adapt")
}

func fit(ctx context.Context, metric evaluate.Metric, set evaluate.Labeled, o Options) (*Adaptation, error) {
	start := time.Now()
	if ctx == nil || metric == nil {
		return nil, errors.New("found no context or no metric, expected both")
	}
	if err := check(set, o); err != nil {
		return nil, err
	}
	cosine, err := heads.Cosine{}.Distance(nil)
	if err != nil {
		return nil, err
	}
	f := &fitter{Options: o, ctx: ctx, metric: metric, cosine: cosine, set: set}
	if err := f.divide(); err != nil {
		return nil, err
	}
	f.scatter()
	best, err := f.choose()
	if err != nil {
		return nil, err
	}
	a := &Adaptation{Candidates: f.candidates, Chosen: best.Candidate, Classes: len(f.classes), HeldOut: len(best.classOf), columns: set.Columns, options: o}
	a.Images = len(concat(f.classes))
	if a.Threshold, err = f.threshold(best); err != nil {
		return nil, err
	}
	if a.layers, err = f.final(best.Candidate); err != nil {
		return nil, err
	}
	a.Seconds = time.Since(start).Seconds()
	return a, nil
}

// Refit fits the chosen adaptation to other embeddings of the same model, such as those of all
// images after it was chosen on some of them: the method, the strength of the shrinkage, the
// number of features, the threshold, the seed and the figures of held-out classes are those of a.
// There must be at least MinClasses classes of two images or more, or the error wraps ErrTooFew.
func (a *Adaptation) Refit(ctx context.Context, set evaluate.Labeled) (*Adaptation, error) {
	refitted, err := a.refit(ctx, set)
	return refitted, errors.Wrap(err, "adapt again")
}

func (a *Adaptation) refit(ctx context.Context, set evaluate.Labeled) (*Adaptation, error) {
	start := time.Now()
	if a == nil || a.columns == 0 || ctx == nil {
		return nil, errors.New("found an adaptation that is nil or zero, or no context, expected one of Fit and a context")
	}
	if err := check(set, a.options); err != nil {
		return nil, err
	}
	if set.Columns != a.columns {
		return nil, errors.Errorf("found embeddings of %d features, expected %d, those of the embeddings that were adapted", set.Columns, a.columns)
	}
	f := &fitter{Options: a.options, ctx: ctx, set: set}
	if err := f.divide(); err != nil {
		return nil, err
	}
	f.scatter()
	again := *a
	again.Classes, again.Images = len(f.classes), len(concat(f.classes))
	var err error
	if again.layers, err = f.final(a.Chosen); err != nil {
		return nil, err
	}
	again.Seconds = time.Since(start).Seconds()
	return &again, ctx.Err()
}

// check refuses what cannot be adapted, whatever the labels are.
func check(set evaluate.Labeled, o Options) error {
	if set.Rows < 1 || set.Columns < 1 || len(set.Data) != set.Rows*set.Columns {
		return errors.Errorf("found embeddings of %d rows, %d columns and %d elements, expected at least one row and their product", set.Rows, set.Columns, len(set.Data))
	}
	if len(set.Labels) != set.Rows {
		return errors.Errorf("found %d labels of %d embeddings, expected one for each", len(set.Labels), set.Rows)
	}
	if i := slices.IndexFunc(set.Data, func(v float32) bool { return v-v != 0 }); i >= 0 {
		return errors.Errorf("embedding %d: found %v in column %d, expected a finite number", i/set.Columns, set.Data[i], i%set.Columns)
	}
	return o.checkFeatures(set.Columns)
}

// checkFeatures checks Features for embeddings of some columns.
func (o Options) checkFeatures(columns int) error {
	if o.Features < 0 || o.Features > columns {
		return errors.Errorf("found %d features, expected 1 to %d, the number that the embeddings have, or 0 for all", o.Features, columns)
	}
	return nil
}

// fitter is the state of Fit.
type fitter struct {
	Options
	ctx            context.Context
	metric, cosine evaluate.Metric
	set            evaluate.Labeled

	classes    [][]int // rows of each class of two or more, in the order of the labels
	folds      [folds]*fold
	candidates []Candidate
}

// fold is a part of the classes. What is fitted for it is fitted to the others.
type fold struct {
	classes []int            // of the fitter
	held    evaluate.Labeled // the embeddings that are measured, with their classes
	moments moments
}

// divide finds the classes and divides them into folds.
func (f *fitter) divide() error {
	rows := map[int][]int{}
	var labels []int
	for row, label := range f.set.Labels {
		if rows[label] == nil {
			labels = append(labels, label)
		}
		rows[label] = append(rows[label], row)
	}
	slices.Sort(labels)
	for _, label := range labels {
		if len(rows[label]) > 1 {
			f.classes = append(f.classes, rows[label])
		}
	}
	if len(f.classes) < MinClasses {
		return errors.Wrapf(ErrTooFew, "found %d classes of two or more images among %d classes, expected at least %d: add classes, or images to those that have one", len(f.classes), len(labels), MinClasses)
	}
	for i := range f.folds {
		f.folds[i] = &fold{}
	}
	for i, class := range random.New(f.Seed, "adapt", "folds").Perm(len(f.classes)) {
		fold := f.folds[i%folds]
		fold.classes = append(fold.classes, class)
	}
	for _, fold := range f.folds {
		slices.Sort(fold.classes)
		// Of more classes than have room for two images each, the first ones are measured.
		each := max(2, maxHeldOut/len(fold.classes))
		var held []int
		for _, class := range fold.classes[:min(len(fold.classes), maxHeldOut/2)] {
			rows := slices.Clone(f.classes[class])
			random.New(f.Seed, "adapt", "held out", class).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			for _, row := range rows[:min(each, len(rows))] {
				held, fold.held.Labels = append(held, row), append(fold.held.Labels, class)
			}
		}
		fold.held.Embeddings = f.set.Select(held)
	}
	return nil
}

// measured is a candidate with its queries on held-out classes.
type measured struct {
	Candidate
	layers          [folds][]layer          // fitted to the classes outside of each fold
	held            [folds]evaluate.Labeled // the held-out embeddings with these layers
	recall, average evaluate.Score
	classOf         []int // of each query
}

// measure measures layers on the held-out classes of each fold, and adds the candidate to
// the result.
func (f *fitter) measure(c Candidate, layers [folds][]layer, frozen *measured) (*measured, error) {
	m := &measured{Candidate: c, layers: layers}
	if frozen == nil {
		frozen = m
	}
	for i, fold := range f.folds {
		found, err := f.retrieve(m, i)
		if err != nil {
			return nil, err
		}
		m.recall.Trials = append(m.recall.Trials, found.RecallAt[1].Trials...)
		m.average.Trials = append(m.average.Trials, found.MAPAtR.Trials...)
		for _, query := range found.Queries {
			m.classOf = append(m.classOf, fold.held.Labels[query])
		}
	}
	var err error
	if m.RecallAt1, err = m.recall.Clustered(m.classOf); err != nil {
		return nil, err
	}
	if m.MAPAtR, err = m.average.Clustered(m.classOf); err != nil {
		return nil, err
	}
	if m.Gain, err = evaluate.Difference(m.average, frozen.average, m.classOf); err != nil {
		return nil, err
	}
	f.candidates = append(f.candidates, m.Candidate)
	return m, nil
}

// retrieve computes the held-out embeddings of a fold and measures retrieval among them.
func (f *fitter) retrieve(m *measured, i int) (found evaluate.Retrieval, err error) {
	if err := f.ctx.Err(); err != nil {
		return found, err
	}
	m.held[i].Labels = f.folds[i].held.Labels
	if m.held[i].Embeddings, err = applyLayers(m.layers[i], f.folds[i].held.Embeddings); err == nil {
		found, err = evaluate.Retrieve(f.metricOf(m.Candidate), m.held[i], 1)
	}
	return found, errors.Wrapf(err, "measure %s", m.Candidate)
}

func (f *fitter) metricOf(c Candidate) evaluate.Metric {
	if c.Method == Frozen {
		return f.metric
	}
	return f.cosine
}

// String names the candidate, such as "whitened, λ = 3".
func (c Candidate) String() string {
	if c.Shrinkage == 0 {
		return string(c.Method)
	}
	return fmt.Sprintf("%s, λ = %.3g", c.Method, c.Shrinkage)
}

// better reports whether a candidate has a larger MAP@R than another beyond chance, and not
// a smaller recall at 1.
func (m *measured) better(than *measured) (bool, error) {
	precision, err := evaluate.Difference(m.average, than.average, m.classOf)
	if err != nil {
		return false, err
	}
	recall, err := evaluate.Difference(m.recall, than.recall, m.classOf)
	return precision.Low > 0 && recall.High >= 0, err
}

// choose measures the candidates and returns the best.
func (f *fitter) choose() (*measured, error) {
	frozen, err := f.measure(Candidate{Method: Frozen, Features: f.set.Columns}, [folds][]layer{}, nil)
	if err != nil {
		return nil, err
	}
	var outside [folds]moments
	for i, fold := range f.folds {
		if outside[i] = f.outside(fold); outside[i].trace() == 0 {
			return frozen, nil // the images of each class are equal
		}
	}
	best, err := f.chooseStrength(outside, frozen)
	if err != nil {
		return nil, err
	}
	if f.Features > 0 && f.Features < f.set.Columns {
		if best, err = f.reduced(best, frozen); err != nil {
			return nil, err
		}
	} else if accepted, err := best.better(frozen); err != nil || !accepted {
		return frozen, err
	}
	if f.NoHead {
		return best, nil
	}
	for _, method := range []Method{LinearHead, TwoLayerHead} {
		trained, err := f.tryHead(method, best, frozen)
		if err != nil {
			return nil, err
		}
		if trained == nil {
			continue
		}
		if accepted, err := trained.better(best); err != nil {
			return nil, err
		} else if accepted {
			return trained, nil
		}
	}
	return best, nil
}

// strengths are the values of λ from which the strength of the shrinkage is chosen, and
// firstStrength is the index of the one that the search begins with.
var strengths = []float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100}

const firstStrength = 5

// chooseStrength finds the strength with the largest MAP@R: it measures neighboring strengths
// until both neighbors of the best are worse.
func (f *fitter) chooseStrength(outside [folds]moments, frozen *measured) (*measured, error) {
	found := make([]*measured, len(strengths))
	best := firstStrength
	for {
		var missing []int
		for i := max(0, best-1); i <= min(len(strengths)-1, best+1); i++ {
			if found[i] == nil {
				missing = append(missing, i)
			}
		}
		if len(missing) == 0 {
			return found[best], nil
		}
		// All folds of all of these at once, because one decomposition runs on few threads.
		layers, failures := make([][folds][]layer, len(missing)), make([]error, len(missing)*folds)
		parallel.For(len(failures), func(i int) {
			if failures[i] = f.ctx.Err(); failures[i] == nil {
				var whitening layer
				whitening, failures[i] = outside[i%folds].whitening(strengths[missing[i/folds]])
				layers[i/folds][i%folds] = []layer{f.rounded(whitening)}
			}
		})
		for n, i := range missing {
			for _, err := range failures[n*folds : (n+1)*folds] {
				if err != nil {
					return nil, err
				}
			}
			var err error
			if found[i], err = f.measure(Candidate{Method: Whitened, Shrinkage: strengths[i], Features: f.set.Columns}, layers[n], frozen); err != nil {
				return nil, err
			}
		}
		for i, m := range found { // of equal ones the smaller strength
			if m != nil && m.MAPAtR.Value > found[best].MAPAtR.Value {
				best = i
			}
		}
	}
}

// reduced is a whitening reduced to fewer features.
func (f *fitter) reduced(whitened, frozen *measured) (*measured, error) {
	c := whitened.Candidate
	c.Features = f.Features
	var layers [folds][]layer
	for i, fold := range f.folds {
		reduced, err := f.reduce(fold, whitened.layers[i][0], f.Features)
		if err != nil {
			return nil, err
		}
		layers[i] = []layer{f.rounded(reduced)}
	}
	return f.measure(c, layers, frozen)
}

// tryHead trains a head for each fold and measures it. The result is nil if the first fold
// has no larger MAP@R with it, so that the others take no time.
func (f *fitter) tryHead(method Method, whitened, frozen *measured) (*measured, error) {
	c := whitened.Candidate
	c.Method = method
	m := &measured{Candidate: c}
	for i, fold := range f.folds {
		head, err := f.trainHead(fold, whitened.layers[i], method)
		if err != nil {
			return nil, err
		}
		m.layers[i] = append(slices.Clone(whitened.layers[i]), f.rounded(head))
		if i > 0 {
			continue
		}
		found, err := f.retrieve(m, i)
		if err != nil {
			return nil, err
		}
		before := whitened.average.Trials[:len(found.Queries)]
		if found.MAPAtR.Value <= floats.Sum(before)/float64(len(before)) {
			return nil, nil
		}
	}
	return f.measure(c, m.layers, frozen)
}

// threshold is the best of pairs of held-out embeddings, each pair in one fold.
func (f *fitter) threshold(m *measured) (float64, error) {
	var distances []float64
	var pairs []evaluate.Pair
	before := 0
	for i, held := range m.held {
		drawn, err := evaluate.AllPairs(held.Labels, maxPairs, random.Seed(f.Seed, "adapt", "threshold", i))
		if err != nil {
			return 0, err
		}
		left, right := make([]int, len(drawn)), make([]int, len(drawn))
		for j, pair := range drawn {
			left[j], right[j] = pair.Left, pair.Right
			pairs = append(pairs, evaluate.Pair{Left: before + pair.Left, Right: before + pair.Right, Different: pair.Different})
		}
		measured := make([]float64, len(drawn))
		x, y := held.Select(left), held.Select(right)
		if err := f.metricOf(m.Candidate).Paired(measured, x.Data, y.Data, x.Columns); err != nil {
			return 0, errors.Wrap(err, "threshold")
		}
		distances = append(distances, measured...)
		before += held.Rows
	}
	verification, err := evaluate.NewVerification(distances, pairs)
	if err != nil {
		return 0, errors.Wrap(err, "threshold")
	}
	return verification.BestThreshold(), nil
}

// final are the layers of a candidate, fitted to all classes.
func (f *fitter) final(c Candidate) ([]layer, error) {
	if c.Method == Frozen {
		return nil, nil
	}
	all := &fold{} // outside of which are all classes
	whitening, err := f.outside(all).whitening(c.Shrinkage)
	if err == nil && c.Features < f.set.Columns {
		whitening, err = f.reduce(all, whitening, c.Features)
	}
	layers := []layer{f.rounded(whitening)}
	if err != nil || c.Method == Whitened {
		return layers, err
	}
	head, err := f.trainHead(all, layers, c.Method)
	return append(layers, f.rounded(head)), err
}

// rounded is a layer as the file of the model will have it.
func (f *fitter) rounded(l layer) layer {
	if f.HalfPrecision {
		for _, values := range l.weights {
			for i, v := range values {
				values[i] = safetensors.Half(v)
			}
		}
	}
	return l
}

// rowsOutside are the rows of each class outside of a fold.
func (f *fitter) rowsOutside(fold *fold) [][]int {
	var classes [][]int
	for i, rows := range f.classes {
		if _, inside := slices.BinarySearch(fold.classes, i); !inside {
			classes = append(classes, rows)
		}
	}
	return classes
}

// Apply adapts embeddings of the model that Fit was given, as the layers of the adapted
// model do.
func (a *Adaptation) Apply(e evaluate.Embeddings) (evaluate.Embeddings, error) {
	if a == nil || a.columns == 0 {
		return evaluate.Embeddings{}, errors.New("adapt: found an adaptation that is nil or zero, expected one of Fit")
	}
	if e.Rows < 0 || e.Columns != a.columns || len(e.Data) != e.Rows*e.Columns {
		return evaluate.Embeddings{}, errors.Errorf("adapt: found embeddings of %d rows, %d columns and %d elements, expected %d columns", e.Rows, e.Columns, len(e.Data), a.columns)
	}
	adapted, err := applyLayers(a.layers, e)
	return adapted, errors.Wrap(err, "adapt")
}
