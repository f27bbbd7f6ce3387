package sweep

import (
	"cmp"
	"math"
	"slices"

	"github.com/pkg/errors"
)

// Rung is a part of successive halving.
type Rung struct {
	Trials int `json:"trials,omitempty"` // that are trained in it
	Epochs int `json:"epochs,omitempty"` // at whose end they are compared, from the first epoch of the training
}

// Rungs divides a search among rungs. With R epochs, n trials and the factor η there are s + 1 of
// them: the rung k = 0 … s trains ⌊n·η⁻ᵏ⌋ trials until the end of the epoch ⌈R·η^(k−s)⌉, and at
// least least. s is as large as possible, so that the last rung has a trial and every rung more
// epochs than the one before. eta must be at least 2, the other numbers at least 1, and least at
// most epochs.
func Rungs(trials, epochs, eta, least int) ([]Rung, error) {
	switch {
	case trials < 1:
		return nil, errors.Errorf("--trials: found %d, expected at least 1", trials)
	case epochs < 1:
		return nil, errors.Errorf("--epochs: found %d, expected at least 1", epochs)
	case eta < 2:
		return nil, errors.Errorf("--eta: found %d, expected at least 2", eta)
	case least < 1 || least > epochs:
		return nil, errors.Errorf("--min-epochs: found %d, expected 1 to %d, the epochs of a training", least, epochs)
	}
	// The number of epochs after so many divisions. Integers divide without rounding errors.
	length := func(divisions int) int {
		n := epochs
		for range divisions {
			n = (n + eta - 1) / eta // the ceiling of a ceiling is the ceiling of the quotient
		}
		return max(n, least)
	}
	divisions := 0
	for left := trials / eta; left >= 1 && length(divisions+1) < length(divisions); left /= eta {
		divisions++
	}
	rungs := make([]Rung, divisions+1)
	for k := range rungs {
		rungs[k] = Rung{Trials: trials, Epochs: length(divisions - k)}
		trials /= eta
	}
	return rungs, nil
}

// rank orders trials: the largest validation first, of equal ones the lower number, and failed
// ones last.
func rank(trials []*Trial) {
	value := func(t *Trial) float64 {
		if t.Failed != "" || t.Validation == nil {
			return math.Inf(-1)
		}
		return *t.Validation
	}
	slices.SortStableFunc(trials, func(a, b *Trial) int {
		return cmp.Or(cmp.Compare(value(b), value(a)), cmp.Compare(a.Number, b.Number))
	})
}

// promoted are the trials of a rung that the next one trains: the best count of those that did
// not fail, in the order of their numbers.
func promoted(trials []*Trial, count int) []*Trial {
	best := slices.DeleteFunc(slices.Clone(trials), func(t *Trial) bool { return t.Failed != "" })
	rank(best)
	best = best[:min(count, len(best))]
	slices.SortFunc(best, func(a, b *Trial) int { return cmp.Compare(a.Number, b.Number) })
	return best
}
