package gallery

import (
	"context"
	"fmt"
	"image"
	"iter"
	"math"
	"slices"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Task is the decision that a guarantee is about.
type Task string

const (
	// TaskIdentify is Identify: of an image of an unknown class, the nearest class of the
	// gallery is accepted.
	TaskIdentify Task = "identify"
	// TaskVerify is Verify: of an image of an unknown class, a class of the gallery that is
	// drawn at random is accepted.
	TaskVerify Task = "verify"
)

// Tasks lists the names of the tasks.
var Tasks = []string{string(TaskIdentify), string(TaskVerify)}

// Guarantee is a maximum of the false accept rate: that it is at most Rate holds with the
// probability Confidence, over the classes from which the threshold was chosen.
type Guarantee struct {
	Rate       float64 `json:"rate"`       // in (0, 1)
	Confidence float64 `json:"confidence"` // in (0, 1)
	Task       Task    `json:"task"`       // the zero value means TaskIdentify
	// Seed is the random seed of the image of each class and, for TaskVerify, of the class
	// that it is compared with. Choosing among the thresholds of several seeds voids the
	// guarantee.
	Seed uint64 `json:"seed"`
}

// CalibrateWithGuarantee chooses the rejection threshold so that the false accept rate of a
// task is at most a rate with a confidence, and stores it in the gallery in place of an
// older one. Each class of the images that the gallery does not have is one trial: a random
// image of it is compared with the gallery as by Identify or Verify. The threshold is that of
// evaluate.GuaranteedThreshold.
//
// What is guaranteed: the false accept rate is the probability that an image of an unknown
// class is accepted, where the class is drawn in the same way as those of the trials, and
// the image at random among those of the class. Trials are independent given the gallery,
// however alike the images of one class are. The guarantee is about the gallery as it is;
// see EnrolledSince. It is not about images of another kind or of classes that someone
// chooses to be confused, nor about images of one class of the gallery that are taken for
// another, nor about several images of one unknown class together.
//
// Classes that the gallery has, by their names, are no trials. Leaving each of them out in
// turn would not guarantee the rate: if two of them are similar, both are accepted, so
// that trials are not independent.
//
// The images must be preprocessed as by the model; their classes should not be training
// classes of the network. The error wraps evaluate.ErrTooFewTrials with the required number
// of classes and the rates that the present ones support.
func (g *Gallery) CalibrateWithGuarantee(images *datasets.Dataset, want Guarantee) (Calibration, error) {
	c, err := g.calibrateWithGuarantee(images, want)
	return c, g.wrap(err, "calibrate")
}

// CalibrateFolderWithGuarantee is CalibrateWithGuarantee on a data set that datasets.Open
// reads; see CalibrateFolder.
func (g *Gallery) CalibrateFolderWithGuarantee(path string, want Guarantee) (Calibration, error) {
	images, err := g.calibrationImages(path)
	if err != nil {
		return Calibration{}, g.wrap(err, "calibrate")
	}
	return g.CalibrateWithGuarantee(images, want)
}

func (g *Gallery) calibrateWithGuarantee(images *datasets.Dataset, want Guarantee) (c Calibration, err error) {
	if !g.isOpen() {
		return c, errNotOpened
	}
	if g.options.ReadOnly {
		return c, ErrReadOnly
	}
	ctx := context.Background()
	if want.Task == "" {
		want.Task = TaskIdentify
	}
	if want.Task != TaskIdentify && want.Task != TaskVerify {
		return c, wording.Unknown("task", string(want.Task), Tasks)
	}
	if err := g.checkImages(images); err != nil {
		return c, err
	}
	enrolled, err := g.backend.classes(ctx)
	if err != nil {
		return c, err
	}
	if len(enrolled) == 0 {
		return c, errors.Errorf("the gallery has no classes, expected those that images of unknown classes are compared with: enroll them first")
	}
	// The record of what is enrolled is read before the trials: what is enrolled meanwhile
	// is then not covered.
	c = Calibration{Rate: want.Rate, Guaranteed: &want, Source: wording.Printable(images.Name), Images: images.Len()}
	if err := g.setOwnDistances(&c); err != nil {
		return c, err
	}
	trials, known := trialsOf(images, enrolled, want.Seed)
	c.Trials, c.Classes = len(trials), len(trials)+known
	if _, err := evaluate.MostAccepted(c.Trials, want.Rate, want.Confidence); err != nil {
		if errors.Is(err, evaluate.ErrTooFewTrials) {
			err = errors.WithMessagef(err, "%s has %d classes that the gallery does not have and %d that it has; one image of each of the former is a trial. Calibrate on more classes, or choose a higher rate or a lower confidence", c.Source, c.Trials, known)
		}
		return c, err
	}
	done := 0
	embeddings, err := g.model.EmbedAll(images.Subset(trials), func(images int) {
		done += images
		g.options.progress(done, c.Trials)
	})
	if err != nil {
		return c, err
	}
	distances := make([]float64, c.Trials)
	for i, trial := range trials {
		embedding := embeddings.Data[i*embeddings.Columns : (i+1)*embeddings.Columns]
		if distances[i], err = g.trialDistance(want, enrolled, images.Classes[images.Labels[trial]], embedding); err != nil {
			return c, err
		}
	}
	if c.Threshold, c.Accepted, err = evaluate.GuaranteedThreshold(distances, want.Rate, want.Confidence); err != nil {
		return c, err
	}
	c.SamePairs = len(c.OwnDistances)
	for _, d := range c.OwnDistances {
		if d <= c.Threshold {
			c.SameAccepted++
		}
	}
	return c, g.keepCalibration(&c)
}

// trialsOf returns the index of a random image of each class that is not enrolled, and the
// number of classes that are. The image of a class depends on its name and on the seed only.
func trialsOf(images *datasets.Dataset, enrolled []Class, seed uint64) (trials []int, known int) {
	names := map[string]bool{}
	for _, class := range enrolled {
		names[class.Name] = true
	}
	for label, of := range images.ByClass() {
		name := images.Classes[label]
		switch {
		case len(of) == 0:
		case names[name]:
			known++
		default:
			trials = append(trials, of[random.New(seed, "guarantee", "image", name).IntN(len(of))])
		}
	}
	return trials, known
}

// trialDistance returns the distance by which the image of a class that is not enrolled
// is accepted or rejected.
func (g *Gallery) trialDistance(want Guarantee, enrolled []Class, class string, embedding []float32) (float64, error) {
	if want.Task == TaskVerify {
		claimed := enrolled[random.New(want.Seed, "guarantee", "claimed", class).IntN(len(enrolled))]
		found, err := g.VerifyEmbedding(claimed.Name, embedding)
		return found.Distance, err
	}
	found, err := g.IdentifyEmbeddings([][]float32{embedding}, 1)
	if err != nil {
		return 0, err
	}
	if len(found[0].Candidates) == 0 {
		return 0, errors.New("all classes were removed during the calibration")
	}
	return found[0].Candidates[0].Distance, nil
}

// guaranteeString is String for a threshold with a guarantee.
func (c Calibration) guaranteeString() string {
	return fmt.Sprintf("threshold %.4f: with a confidence of %g, at most %g of the images of unknown classes are accepted (%s), on %s: accepts %d of %d trials, one for each class that the gallery did not have, and %d of %d examples of the gallery's own classes",
		c.Threshold, c.Guaranteed.Confidence, c.Guaranteed.Rate, c.Guaranteed.Task, c.Source, c.Accepted, c.Trials, c.SameAccepted, c.SamePairs)
}

// EnrolledSince returns the number of examples that were enrolled after the calibration.
// Each of them may be nearer to images of unknown classes, so that the false accept rate
// increases and a guarantee is void until the gallery is calibrated again, if the number is
// not 0. It is 0 without a calibration and for one of Calibrate in an earlier version.
// Forget makes no class nearer: for TaskIdentify the guarantee still holds.
func (g *Gallery) EnrolledSince() (int, error) {
	return g.Request(context.Background(), "").EnrolledSince()
}

// EnrolledSince is Gallery.EnrolledSince.
func (r *Request) EnrolledSince() (int, error) {
	c, calibrated, err := r.Calibration()
	if err != nil || !calibrated || c.LastExample == 0 {
		return 0, err
	}
	n, err := r.gallery.backend.after(r.ctx, c.LastExample)
	return n, r.wrap(err, "calibration")
}

// ownSeed is the random seed of the examples of which a calibration keeps the distances
// from their own classes.
const ownSeed = 1

// setOwnDistances records what is enrolled: the last example and OwnDistances.
func (g *Gallery) setOwnDistances(c *Calibration) error {
	return g.backend.snapshot(context.Background(), func(last uint64, records iter.Seq2[record, error]) error {
		c.LastExample, c.OwnDistances = last, nil
		by := map[string][][]float32{}
		for r, err := range records {
			if err != nil {
				return err
			}
			by[r.class] = append(by[r.class], r.embedding)
		}
		for class, embeddings := range by {
			if len(embeddings) < 2 {
				continue
			}
			trial := random.New(ownSeed, "own distances", class).IntN(len(embeddings))
			others := slices.Concat(embeddings[:trial], embeddings[trial+1:])
			d, err := g.classDistance(embeddings[trial], others)
			if err != nil {
				return err
			}
			if math.IsNaN(d) || math.IsInf(d, 0) {
				return errors.Errorf("class %q: the distance of its examples is %v, expected a finite number", class, d)
			}
			c.OwnDistances = append(c.OwnDistances, d)
		}
		slices.Sort(c.OwnDistances)
		return nil
	})
}

// classDistance returns the distance of an embedding from a class of the given embeddings by
// the gallery's rule.
func (g *Gallery) classDistance(embedding []float32, class [][]float32) (float64, error) {
	one, err := newContents(g.distance, len(embedding), g.header.Rule)
	if err != nil {
		return 0, err
	}
	for i, e := range class {
		if err := one.add(record{id: uint64(i + 1), class: "class", embedding: e}); err != nil {
			return 0, err
		}
	}
	return one.of(0, embedding).Distance, nil
}

// CandidateSet has the classes of which an image may be: all that cannot be excluded at a
// confidence (a conformal prediction set).
type CandidateSet struct {
	// Confidence is the probability with which the set of an image of one of the gallery's
	// classes contains its class; see IdentifySets.
	Confidence float64
	// Distance is the distance up to which classes are in the set, and Trials the number of
	// classes from which it was found.
	Distance float64
	Trials   int
	// Candidates are the classes of the set, nearest first. If there are none, the image is
	// of no class of the gallery at this confidence.
	Candidates []Candidate
}

// IdentifySets is IdentifyAll that also finds the set of all classes that cannot be
// excluded at a confidence in (0, 1): those within the distance that
// evaluate.ConformalDistance finds from the calibration's OwnDistances.
//
// What is guaranteed with the rule Nearest: the class of an image is in the set with at least the
// probability Confidence, if the image is of a class of the gallery that is drawn at random
// among those with several examples at the time of the calibration, and exchangeable with
// the examples of its class, such as one that could as well have been enrolled. It is a mean over
// classes, calibrations and images: a class with varied images may have a lower
// probability. Examples that are enrolled in a class later only increase it. With the rule
// Prototype it is approximate, because the calibration compares with prototypes of one
// example fewer. Of an image of an unknown class the set may contain any classes; to reject
// such images is the purpose of the threshold. With an index (Approximate) a set does not
// contain classes that the index misses.
//
// It is an error if the gallery is not calibrated, and the error wraps
// evaluate.ErrTooFewTrials if fewer than 1/(1 − confidence) classes had several examples.
func (g *Gallery) IdentifySets(images []image.Image, k int, confidence float64) ([]Identification, error) {
	embeddings, err := g.embed(images)
	if err != nil {
		return nil, g.wrap(err, "identify")
	}
	return g.IdentifyEmbeddingsSets(embeddings, k, confidence)
}

// IdentifyEmbeddingsSets is IdentifySets for embeddings; see EnrollEmbeddings.
func (g *Gallery) IdentifyEmbeddingsSets(embeddings [][]float32, k int, confidence float64) ([]Identification, error) {
	return g.Request(context.Background(), "").IdentifyEmbeddingsSets(embeddings, k, confidence)
}

// IdentifyEmbeddingsSets is Gallery.IdentifyEmbeddingsSets.
func (r *Request) IdentifyEmbeddingsSets(embeddings [][]float32, k int, confidence float64) ([]Identification, error) {
	within, trials, err := r.SetDistance(confidence)
	if err != nil {
		return nil, err
	}
	if k < 1 {
		return nil, r.wrap(errors.Errorf("found %d candidates, expected at least 1", k), "identify")
	}
	// Most sets are small. A search for all classes takes longer and is done if one is not.
	const first, factor = 16, 8
	for wanted := max(k, first); ; wanted *= factor {
		all, err := r.IdentifyEmbeddings(embeddings, wanted)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(found Identification) bool {
			n := len(found.Candidates)
			return n == wanted && found.Candidates[n-1].Distance <= within
		}) {
			continue
		}
		for i := range all {
			found := &all[i]
			n, _ := slices.BinarySearchFunc(found.Candidates, within, func(c Candidate, d float64) int {
				if c.Distance <= d {
					return -1
				}
				return 1
			})
			found.Set = &CandidateSet{Confidence: confidence, Distance: within, Trials: trials, Candidates: slices.Clone(found.Candidates[:n])}
			found.Candidates = found.Candidates[:min(k, len(found.Candidates))]
		}
		return all, nil
	}
}

// ErrUncalibrated is the error of requesting candidate sets of a gallery without a
// calibration.
var ErrUncalibrated = errors.New("the gallery is not calibrated: run likeness calibrate or call Calibrate")

// SetDistance returns the distance up to which classes are in a candidate set at a
// confidence, and the number of classes from which it was found. Its errors are those of
// IdentifySets.
func (g *Gallery) SetDistance(confidence float64) (distance float64, classes int, err error) {
	return g.Request(context.Background(), "").SetDistance(confidence)
}

// SetDistance is Gallery.SetDistance.
func (r *Request) SetDistance(confidence float64) (distance float64, classes int, err error) {
	if err := r.open(); err != nil {
		return 0, 0, r.wrap(err, "candidate set")
	}
	c, err := r.gallery.backend.calibration(r.ctx)
	if err == nil && c == nil {
		err = ErrUncalibrated
	}
	if err != nil {
		return 0, 0, r.wrap(err, "candidate set")
	}
	distance, err = evaluate.ConformalDistance(c.OwnDistances, confidence)
	if errors.Is(err, evaluate.ErrTooFewTrials) {
		single := 0
		enrolled, failed := r.gallery.backend.classes(r.ctx)
		if failed != nil {
			return 0, 0, r.wrap(failed, "candidate set")
		}
		for _, class := range enrolled {
			if class.Examples < 2 {
				single++
			}
		}
		err = errors.WithMessagef(err, "each class that had two or more examples when the gallery was calibrated is a trial; %d classes have one example now. Enroll further examples and calibrate again, or choose a lower confidence", single)
	}
	return distance, len(c.OwnDistances), r.wrap(err, "candidate set")
}
