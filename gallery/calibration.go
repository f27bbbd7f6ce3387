package gallery

import (
	"fmt"
	"math"
	"time"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/pkg/errors"
)

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
