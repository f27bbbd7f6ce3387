package gallery

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Calibrate chooses the rejection threshold for a false accept rate, the share of all
// pairs of images of different classes that are accepted, and stores it in the gallery in
// place of an older one. A pair is accepted if its distance is at most the threshold,
// which is halfway between the largest accepted distance and the next one.
//
// The images must be preprocessed as by the model. Their classes should not be training
// classes of the network; they need not be classes of the gallery. The error wraps
// ErrTooFewPairs if fewer than ten pairs are accepted at the rate, because so few give no
// reliable estimate.
func (g *Gallery) Calibrate(images *datasets.Dataset, rate float64) (Calibration, error) {
	c, err := g.calibrate(images, rate)
	return c, g.wrap(err, "calibrate")
}

// CalibrateFolder is Calibrate on a data set that datasets.Open reads, such as a folder
// with a subfolder for each class. Of a data set with several parts it uses the test
// images, or else the validation images.
func (g *Gallery) CalibrateFolder(path string, rate float64) (Calibration, error) {
	images, err := g.calibrationImages(path)
	if err != nil {
		return Calibration{}, g.wrap(err, "calibrate")
	}
	return g.Calibrate(images, rate)
}

// calibrationImages reads the labeled images of a data set with the model's preprocessing.
func (g *Gallery) calibrationImages(path string) (*datasets.Dataset, error) {
	if !g.isOpen() {
		return nil, errNotOpened
	}
	p := g.model.Preprocessing
	splits, err := datasets.Open(path, datasets.Options{Size: p.Size, Invert: p.Invert, Crop: p.Crop, CenterCrop: p.ShorterSide != 0, ShorterSide: p.ShorterSide, Stream: true})
	if err != nil {
		return nil, err
	}
	for _, images := range []*datasets.Dataset{splits.Test, splits.Validation, splits.Train} {
		if images != nil {
			return images, nil
		}
	}
	return nil, errors.Errorf("%s lists pairs or triplets, expected images with classes", path)
}

func (g *Gallery) calibrate(images *datasets.Dataset, rate float64) (c Calibration, err error) {
	if !g.isOpen() {
		return c, errNotOpened
	}
	if err := g.checkImages(images); err != nil {
		return c, err
	}
	c = Calibration{Rate: rate, Source: wording.Printable(images.Name), Images: images.Len()}
	c.SamePairs, c.DifferentPairs, c.Classes = countPairs(images)
	if err := checkRate(rate, c.DifferentPairs); err != nil {
		return c, errors.WithMessagef(err, "%d images of %d classes", c.Images, c.Classes)
	}
	// Progress counts each image twice: when it is embedded and when it is compared.
	done := 0
	report := func(images int) {
		done += images
		g.options.progress(done, 2*c.Images)
	}
	embeddings, err := g.model.EmbedAll(images, report)
	if err != nil {
		return c, err
	}
	metric, err := g.model.Metric()
	if err != nil {
		return c, err
	}
	allowed := allowedAt(rate, c.DifferentPairs)
	same, different, err := pairDistances(metric, embeddings, images.Labels, allowed+1, report)
	if err != nil {
		return c, err
	}
	smallest := make([]float64, len(different))
	for i, pair := range different {
		smallest[i] = pair.distance
	}
	c.Threshold, c.Accepted = thresholdFor(smallest, allowed)
	if err := c.setIntervals(same, different[:c.Accepted], images); err != nil {
		return c, err
	}
	if err := g.setOwnDistances(&c); err != nil {
		return c, err
	}
	return c, g.keepCalibration(&c)
}

// setIntervals counts the accepted same-class pairs and computes the confidence intervals
// of both rates from the number of accepted pairs of each image.
func (c *Calibration) setIntervals(same, different []pairDistance, images *datasets.Dataset) error {
	var accepted, all [2][]int // by image: same-class pairs and different-class pairs
	for kind := range accepted {
		accepted[kind], all[kind] = make([]int, c.Images), make([]int, c.Images)
	}
	for _, class := range images.ByClass() {
		for _, i := range class {
			all[0][i], all[1][i] = len(class)-1, c.Images-len(class)
		}
	}
	count := func(kind int, pair pairDistance) {
		accepted[kind][pair.left]++
		accepted[kind][pair.right]++
	}
	for _, pair := range same {
		if pair.distance <= c.Threshold {
			c.SameAccepted++
			count(0, pair)
		}
	}
	for _, pair := range different {
		count(1, pair)
	}
	for kind, interval := range []*Interval{&c.TrueAccept, &c.FalseAccept} {
		m, err := evaluate.WilsonOfPairs(accepted[kind], all[kind])
		if err != nil {
			return err
		}
		*interval = Interval{m.Low, m.High}
	}
	return nil
}

// pairDistance is the distance between two images.
type pairDistance struct {
	distance    float64
	left, right int32
}

// checkImages returns an error unless the images are labeled and preprocessed as by the model.
func (g *Gallery) checkImages(images *datasets.Dataset) error {
	if images == nil || images.Len() == 0 {
		return errors.Wrap(datasets.ErrTooFew, "found no images")
	}
	if images.Labels == nil {
		return errors.Wrapf(datasets.ErrUnlabeled, "images %s", images.Name)
	}
	if err := images.Validate(); err != nil {
		return err
	}
	p := g.model.Preprocessing
	if images.Size != p.Size || images.Inverted != p.Invert || !reflect.DeepEqual(images.Crop, p.Crop) || images.ShorterSide != p.ShorterSide {
		return errors.Errorf("the images %s were read with size %v, inverted %v, cropped to the ink %v, shorter side %d; the model uses size %v, inverted %v, cropped to the ink %v, shorter side %d: read them with the model's preprocessing",
			images.Name, images.Size, images.Inverted, images.Crop != nil, images.ShorterSide, p.Size, p.Invert, p.Crop != nil, p.ShorterSide)
	}
	return nil
}

// countPairs counts the same-class pairs, the different-class pairs, and the classes with
// images.
func countPairs(images *datasets.Dataset) (same, different, classes int) {
	for _, class := range images.ByClass() {
		same += len(class) * (len(class) - 1) / 2
		if len(class) > 0 {
			classes++
		}
	}
	return same, images.Len()*(images.Len()-1)/2 - same, classes
}

// pairDistances returns the distances of all same-class pairs and the wanted number of
// smallest distances of different-class pairs, in ascending order.
func pairDistances(metric evaluate.Metric, embeddings evaluate.Embeddings, labels []int, wanted int, compared func(rows int)) (same, different []pairDistance, err error) {
	const block = 128 // rows, whose distances from all after them are in memory
	for begin := 0; begin < embeddings.Rows; begin += block {
		end := min(begin+block, embeddings.Rows)
		rows, others := part(embeddings, begin, end), part(embeddings, begin, embeddings.Rows)
		distances := make([]float64, rows.Rows*others.Rows)
		if err := metric.Pairwise(distances, rows.Data, others.Data, rows.Columns); err != nil {
			return nil, nil, err
		}
		for i := range rows.Rows {
			for j := i + 1; j < others.Rows; j++ {
				d := distances[i*others.Rows+j]
				pair := pairDistance{d, int32(begin + i), int32(begin + j)}
				switch {
				case math.IsNaN(d) || math.IsInf(d, 0):
					return nil, nil, errors.Errorf("the distance of the images %d and %d is %v, expected a finite number", begin+i, begin+j, d)
				case labels[begin+i] == labels[begin+j]:
					same = append(same, pair)
				default:
					different = append(different, pair)
				}
			}
		}
		// Only the smallest are needed, and there may be very many.
		slices.SortFunc(different, func(a, b pairDistance) int { return cmp.Compare(a.distance, b.distance) })
		different = different[:min(wanted, len(different))]
		compared(rows.Rows)
	}
	return same, different, nil
}

func part(e evaluate.Embeddings, begin, end int) evaluate.Embeddings {
	return evaluate.Embeddings{Rows: end - begin, Columns: e.Columns, Data: e.Data[begin*e.Columns : end*e.Columns]}
}

// thresholdFor returns the largest threshold that accepts at most the allowed number of the
// ascending distances, and the number that it accepts, which is smaller if the next
// distances are equal to the last. There must be one more distance than allowed.
func thresholdFor(distances []float64, allowed int) (threshold float64, accepted int) {
	next := distances[allowed] // the smallest rejected distance
	accepted, _ = slices.BinarySearch(distances, next)
	if accepted == 0 {
		return math.Nextafter(next, math.Inf(-1)), 0
	}
	last := distances[accepted-1]
	if middle := last/2 + next/2; last < middle && middle < next {
		return middle, accepted
	}
	return last, accepted
}

// keepCalibration stores a calibration with the time.
func (g *Gallery) keepCalibration(c *Calibration) error {
	c.Time = now()
	return g.backend.calibrate(context.Background(), *c)
}

// Calibration returns the gallery's calibration, if it has one. It returns none if the
// database of the gallery cannot be asked; Request.Calibration returns the error.
func (g *Gallery) Calibration() (Calibration, bool) {
	c, found, err := g.Request(context.Background(), "").Calibration()
	return c, found && err == nil
}

// Interval is a 95 % confidence interval of a rate, within [0, 1].
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Calibration is a rejection threshold with the data and the result of choosing it.
type Calibration struct {
	// Threshold is the largest distance at which two images are considered to be of the
	// same class.
	Threshold float64 `json:"threshold"`
	// Rate is the requested false accept rate. Accepted is the number of the
	// DifferentPairs that the threshold accepts, at most that share of them.
	Rate           float64 `json:"rate"`
	Accepted       int     `json:"accepted"`
	DifferentPairs int     `json:"different_pairs"`
	// SameAccepted is the number of the SamePairs that the threshold accepts.
	SameAccepted int `json:"same_accepted"`
	SamePairs    int `json:"same_pairs"`
	// FalseAccept and TrueAccept are the confidence intervals of FalseAcceptRate and
	// TrueAcceptRate; zero in galleries of older versions.
	FalseAccept Interval `json:"false_accept"`
	TrueAccept  Interval `json:"true_accept"`

	// Guaranteed has what is guaranteed of the threshold of CalibrateWithGuarantee; nil for
	// one of Calibrate. With it, Accepted is the number of Trials that the threshold accepts,
	// one for each class, DifferentPairs is 0, and the SamePairs are the OwnDistances.
	Guaranteed *Guarantee `json:"guaranteed,omitempty"`
	Trials     int        `json:"trials,omitempty"`
	// OwnDistances are the distances of a random example of each class of the gallery from
	// the other examples of the class by the gallery's rule, in ascending order, from which
	// candidate sets are found; classes of one example have none.
	OwnDistances []float64 `json:"own_distances,omitempty"`
	// LastExample identifies the last example that was enrolled before the calibration.
	LastExample uint64 `json:"last_example,omitempty"`

	Source  string    `json:"source"` // name of the data set
	Images  int       `json:"images"`
	Classes int       `json:"classes"` // number of classes with images
	Time    time.Time `json:"time"`
}

// FalseAcceptRate returns the share of different-class pairs, or of the trials of a
// threshold with a guarantee, that the threshold accepts,
// with its 95 % confidence interval, which accounts for pairs that share images; see
// evaluate.WilsonOfPairs. Galleries of older versions did not record the images of accepted
// pairs; their interval is that of the largest number of pairs that share no image.
func (c Calibration) FalseAcceptRate() evaluate.Estimate {
	if c.Guaranteed != nil {
		return evaluate.Wilson(float64(c.Accepted), c.Trials)
	}
	return c.rate(c.Accepted, c.DifferentPairs, c.FalseAccept)
}

// TrueAcceptRate returns the share of same-class pairs that the threshold accepts, with an
// interval as that of FalseAcceptRate. It is NaN if there are no such pairs.
func (c Calibration) TrueAcceptRate() evaluate.Estimate {
	if c.Guaranteed != nil {
		return evaluate.Wilson(float64(c.SameAccepted), c.SamePairs)
	}
	return c.rate(c.SameAccepted, c.SamePairs, c.TrueAccept)
}

func (c Calibration) rate(accepted, pairs int, known Interval) evaluate.Estimate {
	m := evaluate.Wilson(float64(accepted), pairs)
	if known == (Interval{}) && pairs > 0 {
		disjoint := min(max(1, c.Images/2), pairs)
		older := evaluate.Wilson(m.Value*float64(disjoint), disjoint)
		known = Interval{older.Low, older.High}
	}
	if pairs > 0 {
		m.Low, m.High = min(m.Value, known.Low), max(m.Value, known.High)
		m.StandardError = (m.High - m.Low) / 2 / 1.96
	}
	return m
}

// String describes the calibration in one line.
func (c Calibration) String() string {
	if c.Guaranteed != nil {
		return c.guaranteeString()
	}
	threshold := fmt.Sprintf("%.4f", c.Threshold)
	if c.Accepted == 0 { // the threshold is the number before the smallest distance, such as -5e-324 before 0
		threshold = fmt.Sprintf("just below %.4f", math.Nextafter(c.Threshold, math.Inf(1))+0)
	}
	return fmt.Sprintf("threshold %s at a false accept rate of %g, on %s: %d images of %d classes, accepts %d of %d different-class pairs and %d of %d same-class pairs",
		threshold, c.Rate, c.Source, c.Images, c.Classes, c.Accepted, c.DifferentPairs, c.SameAccepted, c.SamePairs)
}

// minAccepted is the minimum number of different-class pairs that must be accepted at the
// requested rate. A count of ten has a 95 % interval of 5 to 18 (Poisson), so that the true
// rate is within a factor of two.
const minAccepted = 10

// checkRate returns an error if the number of different-class pairs is too small for a
// rate.
func checkRate(rate float64, pairs int) error {
	if !(rate > 0 && rate < 1) {
		return errors.Errorf("the false accept rate is %v, expected a value between 0 and 1", rate)
	}
	if allowedAt(rate, pairs) >= minAccepted {
		return nil
	}
	needed := minAccepted / rate
	message := fmt.Sprintf("a false accept rate of %g requires at least %.0f such pairs, of which it accepts %d, found %d", rate, needed, minAccepted, pairs)
	if pairs > minAccepted {
		message += fmt.Sprintf(", which support rates from %.2g", float64(minAccepted)/float64(pairs))
	}
	return errors.WithMessage(ErrTooFewPairs, message)
}

// allowedAt returns the number of pairs that may be accepted at a rate. For example, it is
// 29 for 0.29 of 100, although the product of these float64 is slightly less.
func allowedAt(rate float64, pairs int) int {
	return int(rate*float64(pairs) + 1e-9)
}
