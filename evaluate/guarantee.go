package evaluate

import (
	"fmt"
	"math"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mathext"
)

// ErrTooFewTrials is the error if no threshold can be guaranteed with the number of trials.
var ErrTooFewTrials = errors.New("too few trials")

// UpperBound returns the upper confidence bound of a probability of which a number of
// independent trials were successes: the exact one-sided bound of Clopper & Pearson (1934,
// "The use of confidence or fiducial limits illustrated in the case of the binomial"), the
// largest p with P(Binomial(trials, p) ≤ successes) ≥ 1 − confidence. The confidence is in
// (0, 1).
func UpperBound(successes, trials int, confidence float64) (float64, error) {
	if err := checkProbability("confidence", confidence); err != nil {
		return 0, err
	}
	if trials < 1 || successes < 0 || successes > trials {
		return 0, errors.Errorf("found %d successes in %d trials, expected at least one trial and at most as many successes", successes, trials)
	}
	if successes == trials {
		return 1, nil
	}
	// With p the quantile of Beta(successes + 1, trials − successes), because
	// P(Binomial(n, p) ≤ k) = P(Beta(k + 1, n − k) > p).
	return mathext.InvRegIncBeta(float64(successes+1), float64(trials-successes), confidence), nil
}

// MostAccepted returns the maximum number of accepted trials with which UpperBound is at
// most the rate. Rate and confidence are in (0, 1). The error wraps ErrTooFewTrials if the
// bound is higher even with none accepted, as it is with fewer than
// ln(1 − confidence)/ln(1 − rate) trials: 299 for a rate of 0.01 with a confidence of 0.95.
func MostAccepted(trials int, rate, confidence float64) (int, error) {
	if err := checkProbability("rate", rate); err != nil {
		return 0, err
	}
	if err := checkProbability("confidence", confidence); err != nil {
		return 0, err
	}
	if trials < 0 {
		return 0, errors.Errorf("found %d trials, expected 0 or more", trials)
	}
	none := math.Log1p(-confidence) // logarithm of the largest probability of at most that many
	if float64(trials)*math.Log1p(-rate) > none {
		message := fmt.Sprintf("found %d, expected at least %.0f for a rate of %g with a confidence of %g", trials, math.Ceil(none/math.Log1p(-rate)), rate, confidence)
		if trials > 0 {
			smallest := -math.Expm1(none / float64(trials))
			message += fmt.Sprintf("; %d support rates from %.3g", trials, roundUp(smallest))
		}
		return 0, errors.WithMessage(ErrTooFewTrials, message)
	}
	// P(Binomial(trials, rate) ≤ m) increases with m: 0 is allowed, trials is not.
	low, high := 0, trials
	for high-low > 1 {
		m := (low + high) / 2
		if mathext.RegIncBeta(float64(trials-m), float64(m+1), 1-rate) <= 1-confidence {
			low = m
		} else {
			high = m
		}
	}
	return low, nil
}

// roundUp rounds a number in (0, 1) up to three digits.
func roundUp(x float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(x))-2)
	return min(math.Ceil(x/unit)*unit, 1)
}

// GuaranteedThreshold chooses the largest threshold for which the false accept rate, the
// probability that the distance of another trial is at most the threshold, is at most the
// rate with the given confidence, and returns it with the number of distances that it
// accepts. The trials must be independent and of the distribution for which the rate is
// meant, which may be any: one image of each of several classes, for example, because
// images of one class are not independent. The error wraps ErrTooFewTrials.
//
// The threshold is chosen from the same trials that guarantee it. Let there be n trials and
// let k − 1 be MostAccepted, which depends on n, the rate r and the confidence only. The
// threshold is the largest number below the k-th smallest distance D. Let q be the smallest
// number with P(distance ≤ q) ≥ r. If D ≤ q, then P(distance < D) ≤ r. So the rate is
// exceeded only if fewer than k of the n distances are at most q, with a probability of at
// most P(Binomial(n, r) ≤ k − 1), which is at most 1 − confidence (Wilks 1941,
// "Determination of sample sizes for setting tolerance limits"; Vovk 2012, "Conditional
// validity of inductive conformal predictors", proposition 2). That is the condition under
// which the bound of Clopper and Pearson for k − 1 accepted of n trials is at most r, so
// this threshold is the largest one that has that bound. Equal distances are all accepted
// or all rejected, which makes the rate smaller.
func GuaranteedThreshold(distances []float64, rate, confidence float64) (threshold float64, accepted int, err error) {
	if err := checkDistances(distances); err != nil {
		return 0, 0, err
	}
	most, err := MostAccepted(len(distances), rate, confidence)
	if err != nil {
		return 0, 0, err
	}
	sorted := slices.Sorted(slices.Values(distances))
	accepted, _ = slices.BinarySearch(sorted, sorted[most])
	return math.Nextafter(sorted[most], math.Inf(-1)), accepted, nil
}

// ConformalDistance returns the distance within which the class of an image is with a
// probability of at least the confidence, which is in (0, 1), from the distances of n
// calibration images, one of each class, from their own class without them: the smallest
// but ⌈n·confidence⌉ of them, counted from 1 as the rank ⌈n·confidence⌉ + 1 (split conformal
// prediction: Vovk, Gammerman & Shafer 2005, "Algorithmic learning in a random world",
// section 4.2). The error wraps ErrTooFewTrials if n is less than 1/(1 − confidence): 20 for
// a confidence of 0.95.
//
// The probability is that of another image of one of the n classes, each with the same
// probability, if it is exchangeable with the calibration image of its class. Images of
// different classes may have any distributions and the calibration images need not be
// exchangeable with each other. For let S be the distance of the new image, of class i.
// Exchanging it with the calibration image of the class, the probability that S is at most
// the distance of rank k is that with which the calibration distance i is at most the one of
// rank k among S and the others; that is at least the one of rank k − 1 among the n − 1
// others; and of n distances at least k − 1 are that small. So the mean over the classes is
// at least (k − 1)/n, which is at least the confidence.
//
// For a class that is exchangeable with these classes and not among them it is
// k/(n + 1), which is at least the confidence, too: k is at least ⌈(n + 1)·confidence⌉, the
// rank that is usual for such classes.
func ConformalDistance(distances []float64, confidence float64) (float64, error) {
	if err := checkProbability("confidence", confidence); err != nil {
		return 0, err
	}
	if err := checkDistances(distances); err != nil {
		return 0, err
	}
	// Products such as 0.95·20 may round up to more than the integer that they are.
	rank := int(math.Ceil(float64(len(distances))*confidence-1e-9)) + 1
	if rank > len(distances) {
		message := fmt.Sprintf("found %d, expected at least %.0f for a confidence of %g", len(distances), math.Ceil(1/(1-confidence)-1e-9), confidence)
		if n := float64(len(distances)); n > 1 {
			message += fmt.Sprintf("; %d support a confidence up to %g", len(distances), math.Floor((n-1)/n*1000)/1000)
		}
		return 0, errors.WithMessage(ErrTooFewTrials, message)
	}
	return slices.Sorted(slices.Values(distances))[rank-1], nil
}

func checkProbability(name string, p float64) error {
	if !(p > 0 && p < 1) { // nor NaN
		return errors.Errorf("the %s is %v, expected a number between 0 and 1", name, p)
	}
	return nil
}

func checkDistances(distances []float64) error {
	for i, d := range distances {
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return errors.Errorf("distance %d is %v, expected a finite number", i, d)
		}
	}
	return nil
}
