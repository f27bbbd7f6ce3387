package quantize

import (
	"context"
	"math"
	"path/filepath"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/quantized"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
)

const (
	// DefaultImages is the default of Options.Images.
	DefaultImages = 256
	// DefaultMeasured is the default of Options.Measured.
	DefaultMeasured = 1000
	// minImages is the smallest number of images of a folder: one to calibrate and one to measure.
	minImages = 2
	// maxPairs limits the pairs of a verification.
	maxPairs = 20_000
)

// Options are the options of Folder. The zero value is useful.
type Options struct {
	// Images is the number of images that give the ranges of activations; 0 for DefaultImages. At
	// most half of the images of the folder do.
	Images int
	// Measured is the largest number of other images that are measured; 0 for DefaultMeasured.
	Measured int
	// Seed draws the images.
	Seed uint64
	// SkipBroken skips files that cannot be read; see retrieval.Options.
	SkipBroken bool
	// OnProgress, unless it is nil, is called with the number of images that are done, of all that
	// are calibrated on and embedded.
	OnProgress func(done, total int)
}

// Report has what Folder measured.
type Report struct {
	// Images are the numbers of images that gave the ranges, and Measured that of the others that
	// were embedded with both models.
	Images, Measured int
	// Bytes and QuantizedBytes are the sizes of the numbers in the files of both models.
	Bytes, QuantizedBytes int64
	// Cosine is the mean cosine similarity of the two embeddings of a measured image, and
	// SmallestCosine the smallest.
	Cosine, SmallestCosine float64
	// Accuracy is nil unless at least two classes have two or more measured images.
	Accuracy *Accuracy
	// Skipped lists the files that could not be read, with the reasons, if Options.SkipBroken is set.
	Skipped []string
}

// Accuracy has measures of both models on the same images, with 95 % intervals.
type Accuracy struct {
	Classes int
	// Before is of the model in float32, After of the quantized one.
	Before, After Measures
	// Difference is After minus Before, of the same queries and pairs. Intervals resample images.
	Difference Measures
}

// Measures are those of evaluate.Summarize.
type Measures struct {
	RecallAt1, MAPAtR evaluate.Estimate
	// AUC is the area under the ROC curve of pairs.
	AUC evaluate.Estimate
}

// Folder quantizes a model with the images of a folder, see likeness.Model.Quantize, and measures
// both models on images that were not used for it. A class is a folder of images. Files that are not
// images are ignored. An error names a file that cannot be read, or is that of the context.
func Folder(ctx context.Context, model *likeness.Model, folder string, o Options) (*likeness.Model, *Report, error) {
	made, report, err := quantizeFolder(ctx, model, folder, o)
	return made, report, errors.Wrapf(err, "quantize with %s", folder)
}

func quantizeFolder(ctx context.Context, model *likeness.Model, folder string, o Options) (*likeness.Model, *Report, error) {
	if ctx == nil {
		return nil, nil, errors.New("found no context")
	}
	if o.Images < 0 || o.Measured < 0 {
		return nil, nil, errors.Errorf("found %d images for the ranges and %d to measure, expected numbers of at least 0", o.Images, o.Measured)
	}
	if _, err := model.Metric(); err != nil { // one that is not whole
		return nil, nil, err
	}
	if err := model.CheckFloat(); err != nil {
		return nil, nil, err
	}
	found, err := imaging.Find(folder)
	if err != nil {
		return nil, nil, err
	}
	files := found.Files
	if len(files) < minImages {
		return nil, nil, errors.Errorf("found %d images, expected at least %d: one for the ranges of the activations and one to measure", len(files), minImages)
	}
	random.New(o.Seed, "quantize", "files").Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	calibrating := min(orDefault(o.Images, DefaultImages), len(files)/2)
	measured := files[calibrating:][:min(len(files)-calibrating, orDefault(o.Measured, DefaultMeasured))]
	files = files[:calibrating]
	slices.Sort(measured)

	// Each calibration image is read and then run twice, each measured one embedded twice.
	r := &Report{}
	total, done := 3*len(files)+2*len(measured), 0
	progress := func(before int) func(n, _ int) {
		return func(n, _ int) {
			if done = before + n; o.OnProgress != nil {
				o.OnProgress(done, total)
			}
		}
	}
	pixels, err := read(ctx, model.Preprocessing, files, o.SkipBroken, r, progress(0))
	if err != nil {
		return nil, nil, err
	}
	if len(pixels) == 0 {
		return nil, nil, errors.Wrapf(retrieval.ErrBroken, "none of the %d images drawn for the ranges is readable", len(files))
	}
	r.Images = len(pixels)
	made, err := model.Quantize(likeness.Pixels(pixels), quantized.Options{OnProgress: progress(len(files))})
	if err != nil {
		return nil, nil, err
	}
	before, err := retrieval.Embed(ctx, model, measured, retrieval.Options{SkipBroken: o.SkipBroken, OnProgress: progress(3 * len(files))})
	if err != nil {
		return nil, nil, err
	}
	r.Skipped = append(r.Skipped, before.Skipped...)
	after, err := retrieval.Embed(ctx, made, before.Files, retrieval.Options{OnProgress: progress(3*len(files) + len(measured))})
	if err != nil {
		return nil, nil, err
	}
	r.Measured = len(before.Files)
	r.Bytes, r.QuantizedBytes = bytesOf(model), bytesOf(made)
	r.Cosine, r.SmallestCosine = cosines(before.Embeddings, after.Embeddings)
	if r.Accuracy, err = compare(before, after, o.Seed); err != nil {
		return nil, nil, err
	}
	return made, r, nil
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// read decodes image files.
func read(ctx context.Context, p imaging.Preprocessing, files []string, skipBroken bool, r *Report, progress func(done, total int)) ([][]uint8, error) {
	pixels, failures := make([][]uint8, len(files)), make([]error, len(files))
	err := parallel.EachProgress(ctx, parallel.MaxOpenFiles, len(files), progress, func(i int) error {
		img, err := p.DecodeFile(files[i])
		if err == nil {
			if pixels[i], err = p.Prepare(img); err != nil {
				err = errors.Errorf("%s %v", files[i], err)
			}
		}
		if err != nil && skipBroken && imaging.Skippable(err) {
			failures[i] = err
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, failure := range failures {
		if failure != nil {
			r.Skipped = append(r.Skipped, failure.Error())
		}
	}
	return slices.DeleteFunc(pixels, func(p []uint8) bool { return p == nil }), nil
}

// bytesOf is the size of the numbers in the file of a model.
func bytesOf(model *likeness.Model) (size int64) {
	each := int64(4)
	if model.HalfPrecision {
		each = 2 // but for batch norm
	}
	for _, weight := range model.Weights.All() {
		size += each * int64(weight.Value.Size())
	}
	return size + model.Quantized.Bytes()
}

// cosines are the mean and the smallest cosine similarity of rows.
func cosines(x, y evaluate.Embeddings) (mean, smallest float64) {
	smallest = 1
	for i := range x.Rows {
		var xy, xx, yy float64
		for j, a := range x.Row(i) {
			b := float64(y.Row(i)[j])
			xy, xx, yy = xy+float64(a)*b, xx+float64(a)*float64(a), yy+b*b
		}
		cosine := 1.0
		if xx != 0 || yy != 0 {
			cosine = xy / math.Sqrt(max(xx*yy, math.SmallestNonzeroFloat64))
		}
		mean, smallest = mean+cosine/float64(x.Rows), min(smallest, cosine)
	}
	return mean, smallest
}

// compare measures both models on files whose folders are their classes; nil where too few classes
// have two images.
func compare(before, after *retrieval.Collection, seed uint64) (*Accuracy, error) {
	numbers, labels, counts := map[string]int{}, []int{}, map[int]int{}
	for _, file := range before.Files {
		class := filepath.Dir(file)
		if _, known := numbers[class]; !known {
			numbers[class] = len(numbers)
		}
		labels = append(labels, numbers[class])
		counts[numbers[class]]++
	}
	several := 0
	for _, count := range counts {
		if count > 1 {
			several++
		}
	}
	if several < 2 {
		return nil, nil
	}
	a := &Accuracy{Classes: len(numbers)}
	pairs, err := evaluate.AllPairs(labels, maxPairs, seed)
	if err != nil {
		return nil, err
	}
	var retrieved [2]evaluate.Retrieval
	var verified [2]*evaluate.Verification
	for i, of := range []struct {
		collection *retrieval.Collection
		to         *Measures
	}{{before, &a.Before}, {after, &a.After}} {
		set := evaluate.Labeled{Embeddings: of.collection.Embeddings, Labels: labels}
		if retrieved[i], err = evaluate.Retrieve(of.collection.Metric, set, 1); err != nil {
			return nil, err
		}
		if verified[i], err = evaluate.Verify(of.collection.Metric, set.Embeddings, pairs); err != nil {
			return nil, err
		}
		of.to.RecallAt1, of.to.MAPAtR, of.to.AUC = retrieved[i].RecallAt[1].Estimate, retrieved[i].MAPAtR.Estimate, verified[i].AUC()
	}
	queries := retrieved[0].Queries
	if a.Difference.RecallAt1, err = evaluate.Difference(retrieved[1].RecallAt[1], retrieved[0].RecallAt[1], queries); err != nil {
		return nil, err
	}
	if a.Difference.MAPAtR, err = evaluate.Difference(retrieved[1].MAPAtR, retrieved[0].MAPAtR, queries); err != nil {
		return nil, err
	}
	a.Difference.AUC, err = evaluate.AUCDifference(verified[1], verified[0])
	return a, err
}
