package gallery

import (
	"cmp"
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

// Calibrate finds the threshold at which the share rate of all pairs of images of
// different classes is accepted, and keeps it in the gallery in place of an older
// one. A pair is accepted if its distance is at most the threshold, which lies
// halfway between the last distance that is accepted and the next.
//
// The images must be prepared as the model prepares them, and their classes be
// such as the network was not trained on, which nobody but the caller knows; they
// need not be those of the gallery. The error is ErrTooFewPairs, wrapped, if the
// rate accepts fewer than ten pairs: how often what is rare happens is not to be
// learned from few.
func (g *Gallery) Calibrate(images *datasets.Dataset, rate float64) (Calibration, error) {
	c, err := g.calibrate(images, rate)
	return c, g.wrap(err, "calibrate")
}

// CalibrateFolder is Calibrate on a folder that datasets.Open knows, such as one
// of class folders. Of a data set in parts it takes the one for testing, or else
// for validation.
func (g *Gallery) CalibrateFolder(path string, rate float64) (Calibration, error) {
	if !g.isOpen() {
		return Calibration{}, g.wrap(errNotOpened, "calibrate")
	}
	p := g.model.Preprocessing
	splits, err := datasets.Open(path, datasets.Options{Size: p.Size, Invert: p.Invert, Crop: p.Crop})
	if err != nil {
		return Calibration{}, g.wrap(err, "calibrate")
	}
	for _, images := range []*datasets.Dataset{splits.Test, splits.Validation, splits.Train} {
		if images != nil {
			return g.Calibrate(images, rate)
		}
	}
	return Calibration{}, g.wrap(errors.Errorf("%s holds listed pairs or triplets, expected images with classes", path), "calibrate")
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
	// Each image is embedded, and compared with those after it.
	done := 0
	told := func(images int) {
		done += images
		g.options.progress(done, 2*c.Images)
	}
	embeddings, err := g.model.EmbedAll(images.Images, told)
	if err != nil {
		return c, err
	}
	metric, err := g.model.Metric()
	if err != nil {
		return c, err
	}
	allowed := allowedAt(rate, c.DifferentPairs)
	same, different, err := pairDistances(metric, embeddings, images.Labels, allowed+1, told)
	if err != nil {
		return c, err
	}
	least := make([]float64, len(different))
	for i, pair := range different {
		least[i] = pair.distance
	}
	c.Threshold, c.Accepted = thresholdFor(least, allowed)
	if err := c.setIntervals(same, different[:c.Accepted], images); err != nil {
		return c, err
	}
	return c, g.keepCalibration(&c)
}

// setIntervals counts the accepted pairs of one class, and for each image of how many
// pairs it is.
func (c *Calibration) setIntervals(same, different []pairDistance, images *datasets.Dataset) error {
	var accepted, all [2][]int // by image: of pairs of one class, and of two
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

// pairDistance is how far apart two images are.
type pairDistance struct {
	distance    float64
	left, right int32
}

// checkImages says whether the images are as the model wants them.
func (g *Gallery) checkImages(images *datasets.Dataset) error {
	if images == nil || images.Len() == 0 {
		return errors.Wrap(datasets.ErrTooFew, "found no images")
	}
	if images.Labels == nil {
		return errors.Wrapf(datasets.ErrUnlabelled, "images %s", images.Name)
	}
	if err := images.Validate(); err != nil {
		return err
	}
	p := g.model.Preprocessing
	if images.Size != p.Size || images.Inverted != p.Invert || !reflect.DeepEqual(images.Crop, p.Crop) {
		return errors.Errorf("the images %s were read at %v, inverted %v, cut to the ink %v; the model reads at %v, inverted %v, cut to the ink %v: read them with its preprocessing",
			images.Name, images.Size, images.Inverted, images.Crop != nil, p.Size, p.Invert, p.Crop != nil)
	}
	return nil
}

// countPairs counts the pairs of images of one class and of different ones, and
// the classes that have images.
func countPairs(images *datasets.Dataset) (same, different, classes int) {
	for _, class := range images.ByClass() {
		same += len(class) * (len(class) - 1) / 2
		if len(class) > 0 {
			classes++
		}
	}
	return same, images.Len()*(images.Len()-1)/2 - same, classes
}

// pairDistances are the distances of all pairs of one class and the least of those
// of different ones, in ascending order: as many as are wanted.
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
		// A threshold needs the least ones only, and there may be very many.
		slices.SortFunc(different, func(a, b pairDistance) int { return cmp.Compare(a.distance, b.distance) })
		different = different[:min(wanted, len(different))]
		compared(rows.Rows)
	}
	return same, different, nil
}

func part(e evaluate.Embeddings, begin, end int) evaluate.Embeddings {
	return evaluate.Embeddings{Rows: end - begin, Columns: e.Columns, Data: e.Data[begin*e.Columns : end*e.Columns]}
}

// thresholdFor is the greatest threshold that accepts at most the allowed number
// of the ascending distances, and how many it accepts: fewer where the next are
// equal to the last. There must be one distance more than are allowed.
func thresholdFor(distances []float64, allowed int) (threshold float64, accepted int) {
	next := distances[allowed] // the first to refuse
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

// keepCalibration writes it down.
func (g *Gallery) keepCalibration(c *Calibration) error {
	if err := g.change(); err != nil {
		return err
	}
	defer g.writing.Unlock()
	c.Time = now()
	if err := g.store.calibrate(*c); err != nil {
		return err
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	kept := *c
	g.calibration = &kept
	return nil
}

// Calibration is the gallery's own, if it has one.
func (g *Gallery) Calibration() (Calibration, bool) {
	if !g.isOpen() {
		return Calibration{}, false
	}
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	if g.calibration == nil {
		return Calibration{}, false
	}
	return *g.calibration, true
}

// Interval is the limits of one, within [0, 1].
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Calibration is a threshold and how it was obtained.
type Calibration struct {
	// Threshold is the distance up to which two images count as of one class.
	Threshold float64 `json:"threshold"`
	// Rate is the false accept rate that was asked for, and Accepted the number
	// of the DifferentPairs that the threshold accepts, at most that share.
	Rate           float64 `json:"rate"`
	Accepted       int     `json:"accepted"`
	DifferentPairs int     `json:"different_pairs"`
	// SameAccepted is the number of the SamePairs, of one class, that it accepts.
	SameAccepted int `json:"same_accepted"`
	SamePairs    int `json:"same_pairs"`
	// FalseAccept and TrueAccept are the 95 % intervals of the two rates, which the
	// methods below return; zero in calibrations of galleries that are older.
	FalseAccept Interval `json:"false_accept"`
	TrueAccept  Interval `json:"true_accept"`

	Source  string    `json:"source"` // the name of the images
	Images  int       `json:"images"`
	Classes int       `json:"classes"` // that have images
	Time    time.Time `json:"time"`
}

// FalseAcceptRate is the share of the pairs of different classes that the
// threshold accepts, and TrueAcceptRate that of the pairs of one class, with
// their 95 % intervals, which take into account that pairs share images; see
// evaluate.WilsonOfPairs. Without pairs of one class the TrueAcceptRate is not a
// number. Calibrations of older galleries did not record the images of the accepted
// pairs; their intervals are those of the largest number of pairs that share no image.
func (c Calibration) FalseAcceptRate() evaluate.Measure {
	return c.rate(c.Accepted, c.DifferentPairs, c.FalseAccept)
}

// TrueAcceptRate is told in FalseAcceptRate.
func (c Calibration) TrueAcceptRate() evaluate.Measure {
	return c.rate(c.SameAccepted, c.SamePairs, c.TrueAccept)
}

func (c Calibration) rate(accepted, pairs int, known Interval) evaluate.Measure {
	m := evaluate.Wilson(float64(accepted), pairs)
	if known == (Interval{}) && pairs > 0 {
		apart := min(max(1, c.Images/2), pairs)
		older := evaluate.Wilson(m.Value*float64(apart), apart)
		known = Interval{older.Low, older.High}
	}
	if pairs > 0 {
		m.Low, m.High = min(m.Value, known.Low), max(m.Value, known.High)
		m.StandardError = (m.High - m.Low) / 2 / 1.96
	}
	return m
}

// String tells all of it in one line.
func (c Calibration) String() string {
	threshold := fmt.Sprintf("%.4f", c.Threshold)
	if c.Accepted == 0 { // it is the number before the least distance, such as -5e-324 before 0
		threshold = fmt.Sprintf("just below %.4f", math.Nextafter(c.Threshold, math.Inf(1))+0)
	}
	return fmt.Sprintf("threshold %s at a false accept rate of %g, on %s: %d images of %d classes, accepts %d of %d pairs of different classes and %d of %d of one",
		threshold, c.Rate, c.Source, c.Images, c.Classes, c.Accepted, c.DifferentPairs, c.SameAccepted, c.SamePairs)
}

// fewestAccepted is how many pairs of different classes must be accepted at the
// rate that is asked for. A count of ten has the 95 % interval of 5 to 18
// (Poisson), so that the true rate is within a factor of two.
const fewestAccepted = 10

// checkRate says whether so many pairs of different classes support a rate.
func checkRate(rate float64, pairs int) error {
	if !(rate > 0 && rate < 1) {
		return errors.Errorf("the false accept rate is %v, expected one between 0 and 1", rate)
	}
	if allowedAt(rate, pairs) >= fewestAccepted {
		return nil
	}
	needed := fewestAccepted / rate
	message := fmt.Sprintf("a false accept rate of %g needs %.0f of them, of which it accepts %d; there are %d", rate, needed, fewestAccepted, pairs)
	if pairs > fewestAccepted {
		message += fmt.Sprintf(", which support rates from %.2g on", float64(fewestAccepted)/float64(pairs))
	}
	return errors.WithMessage(ErrTooFewPairs, message)
}

// allowedAt is how many of so many pairs may be accepted at a rate. A share such
// as 0.29 of 100 is 29, though the product of these float64 is just below.
func allowedAt(rate float64, pairs int) int {
	return int(rate*float64(pairs) + 1e-9)
}
