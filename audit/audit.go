package audit

import (
	"cmp"
	"context"
	"math"
	"path/filepath"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/pkg/errors"
)

// ErrTooFew is the error if there are too few classes or images.
var ErrTooFew = errors.New("too few classes or images")

// The defaults of Options.
const (
	DefaultFolds     = 5
	DefaultNeighbors = 10
)

// Options are the options of Embeddings and Folder. The zero value is useful.
type Options struct {
	// Folds is the number of parts of the images, each of which is classified by the others; at
	// least 2, or 0 for DefaultFolds.
	Folds int
	// Neighbors is the number of nearest images of the outlier score; 0 for DefaultNeighbors,
	// or for all others if there are fewer.
	Neighbors int
	// Seed draws the folds.
	Seed uint64
	// SkipBroken makes Folder skip files that cannot be read as images; see
	// retrieval.Options.
	SkipBroken bool
	// Cache, unless it is nil, has embeddings of earlier calls of Folder; see
	// retrieval.Options.
	Cache *cache.Cache
	// OnProgress, unless it is nil, is called by Folder with the number of embedded images.
	OnProgress func(done, total int)
}

// Finding is what the audit found about an image.
type Finding struct {
	// Row is the row of the embedding, which is also the index into Result.Files.
	Row int
	// Label is the given label, and Suggested the most probable other one.
	Label, Suggested int
	// Confidence is the self-confidence: the probability of the given label by a classifier
	// that was fitted to other images, in [0, 1].
	Confidence float64
	// Margin is the normalized margin: Confidence less the probability of Suggested, in
	// [-1, 1].
	Margin float64
	// Score is Confidence divided by its sum with the probability of Suggested, in [0, 1]. A
	// smaller score is more suspicious. Result.Labels is in the order of these scores before
	// they are rounded.
	Score float64
	// Issue is true if confident learning counts the label as an error: a class other than
	// the given one is the most probable among those whose probability is at least the mean
	// self-confidence of their images.
	Issue bool
	// Outlier is the mean distance to the nearest other images. A larger one is more
	// suspicious.
	Outlier float64

	order float64 // logarithm of the ratio of the probabilities of Label and Suggested
}

// Result is the result of an audit.
type Result struct {
	// Files are the image files of the rows; empty for embeddings of unknown origin.
	Files []string
	// Classes are the names of the labels; empty if they are unknown.
	Classes []string
	// Labels has all images of classes of at least two images, the one with the most
	// suspicious label first.
	Labels []Finding
	// Outliers has all images, the one farthest from its nearest others first. Those of
	// classes of one image have no figures of labels: they suggest their own label with a
	// score of 1.
	Outliers []Finding
	// Issues is the number of images in Labels that are counted as label errors.
	Issues int
	// Agreement is the proportion of the images in Labels whose most probable class is the
	// given label.
	Agreement float64
	// Folds and Neighbors are the numbers that were used, Shrinkage is the strength λ of the
	// shrinkage, and Temperature that of the probabilities.
	Folds, Neighbors       int
	Shrinkage, Temperature float64
	// Skipped lists the files that Folder could not decode, with the reasons, if
	// Options.SkipBroken is set.
	Skipped []string
	// Cached is the number of files whose embeddings Options.Cache had.
	Cached int
}

// Embeddings audits a set of labeled embeddings with the metric of their model, that of
// likeness.Model.Metric. There must be at least two classes of two images or more, or the error
// wraps ErrTooFew. The result depends on the seed, and not on the number of threads.
func Embeddings(ctx context.Context, metric evaluate.Metric, set evaluate.Labeled, o Options) (*Result, error) {
	r, err := embeddings(ctx, metric, set, o)
	return r, errors.Wrap(err, "audit")
}

func embeddings(ctx context.Context, metric evaluate.Metric, set evaluate.Labeled, o Options) (*Result, error) {
	if ctx == nil || metric == nil {
		return nil, errors.New("found no context or no metric, expected both")
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if len(set.Labels) != set.Rows {
		return nil, errors.Errorf("found %d labels of %d embeddings, expected one for each", len(set.Labels), set.Rows)
	}
	scaled, err := evaluate.ScaleInvariant(metric, set.Embeddings)
	if err != nil {
		return nil, err
	}
	c, err := newCrossValidation(set, scaled, o)
	if err != nil {
		return nil, err
	}
	r := &Result{Folds: c.folds, Neighbors: o.Neighbors}
	if r.Neighbors == 0 {
		r.Neighbors = DefaultNeighbors
	}
	r.Neighbors = min(r.Neighbors, set.Rows-1)
	others, err := evaluate.NearestOthers(metric, set.Embeddings, r.Neighbors) // which checks the embeddings
	if err != nil {
		return nil, err
	}
	if err := c.classify(ctx); err != nil {
		return nil, err
	}
	r.Shrinkage, r.Temperature = c.shrinkage, c.temperature
	all := c.findings()
	for i := range all {
		for _, other := range others[i] {
			all[i].Outlier += other.Distance / float64(r.Neighbors)
		}
	}
	agreeing := 0
	for _, f := range all {
		if c.classOf[f.Row] < 0 {
			continue
		}
		r.Labels = append(r.Labels, f)
		if f.Issue {
			r.Issues++
		}
		if f.order >= 0 {
			agreeing++
		}
	}
	r.Agreement = float64(agreeing) / float64(len(r.Labels))
	r.Outliers = all
	slices.SortStableFunc(r.Labels, func(a, b Finding) int { return cmp.Compare(a.order, b.order) })
	slices.SortStableFunc(r.Outliers, func(a, b Finding) int { return cmp.Compare(b.Outlier, a.Outlier) })
	return r, nil
}

func (o Options) check() error {
	if o.Folds < 0 || o.Folds == 1 {
		return errors.Errorf("found %d folds, expected at least 2, or 0 for %d", o.Folds, DefaultFolds)
	}
	if o.Neighbors < 0 {
		return errors.Errorf("found %d neighbors, expected at least 1, or 0 for %d", o.Neighbors, DefaultNeighbors)
	}
	return nil
}

// findings are those of all rows, in their order, without the outlier score.
func (c *crossValidation) findings() []Finding {
	all := make([]Finding, len(c.set.Labels))
	probabilities := make([]float64, len(c.classes))
	means, counts := make([]float64, len(c.classes)), make([]float64, len(c.classes)) // of the self-confidence
	for _, row := range c.rows {
		c.probabilities(row, probabilities)
		class := c.classOf[row]
		means[class] += probabilities[class]
		counts[class]++
	}
	for class := range means {
		means[class] /= counts[class]
	}
	for row := range all {
		f := &all[row]
		*f = Finding{Row: row, Label: c.set.Labels[row], Suggested: c.set.Labels[row], Confidence: 1, Margin: 1, Score: 1, order: math.Inf(1)}
		class := c.classOf[row]
		if class < 0 {
			continue
		}
		c.probabilities(row, probabilities)
		scores := c.scores(row)
		suggested, counted := -1, -1
		for other := range probabilities {
			if other != class && (suggested < 0 || scores[other] > scores[suggested]) {
				suggested = other
			}
			if probabilities[other] >= means[other] && (counted < 0 || scores[other] > scores[counted]) {
				counted = other
			}
		}
		f.Suggested, f.Issue = c.classes[suggested], counted >= 0 && counted != class
		f.Confidence, f.Margin = probabilities[class], probabilities[class]-probabilities[suggested]
		f.order = scores[class] - scores[suggested]
		f.Score = 1 / (1 + math.Exp(-f.order/c.temperature))
	}
	return all
}

// Folder embeds the images of a folder with one folder of images for each class, which may be
// in folders of groups, and audits them. Files that are not images are ignored. An error names
// the file that cannot be read, wraps ErrTooFew if there are too few classes or images, or is
// that of the context.
func Folder(ctx context.Context, model *likeness.Model, folder string, o Options) (*Result, error) {
	r, err := auditFolder(ctx, model, folder, o)
	return r, errors.Wrapf(err, "audit %s", folder)
}

func auditFolder(ctx context.Context, model *likeness.Model, folder string, o Options) (*Result, error) {
	if ctx == nil {
		return nil, errors.New("found no context")
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	metric, err := model.Metric()
	if err != nil {
		return nil, err
	}
	found, err := imaging.Find(folder)
	if err != nil {
		return nil, err
	}
	labels, _, err := classesOf(folder, found.Files)
	if err != nil {
		return nil, err
	}
	if err := checkClasses(labels, "folders"); err != nil { // before images are embedded
		return nil, err
	}
	collection, err := retrieval.Embed(ctx, model, found.Files, retrieval.Options{SkipBroken: o.SkipBroken, Cache: o.Cache, OnProgress: o.OnProgress})
	if err != nil {
		return nil, err
	}
	labels, classes, err := classesOf(folder, collection.Files)
	if err != nil {
		return nil, err
	}
	r, err := embeddings(ctx, metric, evaluate.Labeled{Embeddings: collection.Embeddings, Labels: labels}, o)
	if err != nil {
		return nil, err
	}
	r.Files, r.Classes, r.Skipped, r.Cached = collection.Files, classes, collection.Skipped, collection.Cached
	return r, nil
}

// classesOf returns the class of each file, whose name is the folder of the file within the
// folder of the data set, and the names in ascending order.
func classesOf(folder string, files []string) (labels []int, classes []string, err error) {
	names := make([]string, len(files))
	for i, file := range files {
		name, err := filepath.Rel(folder, filepath.Dir(file))
		if err != nil {
			return nil, nil, errors.WithStack(err)
		}
		if name == "." {
			return nil, nil, errors.Errorf("found the image %s in the folder itself, expected one folder of images for each class", file)
		}
		names[i] = filepath.ToSlash(name)
	}
	classes = slices.Compact(slices.Sorted(slices.Values(names)))
	for _, name := range names {
		label, _ := slices.BinarySearch(classes, name)
		labels = append(labels, label)
	}
	return labels, classes, nil
}

// checkClasses is the error of fewer than two classes of two images or more.
func checkClasses(labels []int, what string) error {
	counts := map[int]int{}
	for _, label := range labels {
		counts[label]++
	}
	several := 0
	for _, count := range counts {
		if count > 1 {
			several++
		}
	}
	if several < 2 {
		return errors.Wrapf(ErrTooFew, "found %d %s of two images or more among %d, expected at least 2, one for each class", several, what, len(counts))
	}
	return nil
}
