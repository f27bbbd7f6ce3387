package objectives

import (
	"cmp"
	"math"
	"strings"

	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Usual is the options with the margin, the scale and the temperature that the objective takes
// where they leave these open. An option that the objective does not have is an
// error.
func Usual(objective, head string, o Options) (Options, error) {
	found, takes := named(objective, o)
	if found == nil {
		return o, wording.Unknown("objective", objective, Names)
	}
	for _, option := range []struct {
		key   string
		given bool
		value float64
	}{{"margin", o.Margin != 0, o.Margin}, {"scale", o.Scale != 0, o.Scale}, {"temperature", o.Temperature != 0, o.Temperature}, {"soft", o.Soft, 0}, {"balanced", o.Balanced, 0}} {
		if option.given && !strings.Contains(takes, option.key) {
			return o, errors.Errorf("%s has no option %s", objective, option.key)
		}
		if option.value < 0 {
			return o, errors.Errorf("%s: found %s %v, expected a positive number, or 0 for the usual one", objective, option.key, option.value)
		}
	}
	if o.Soft && o.Margin != 0 {
		return o, errors.Errorf("%s: found margin %v and soft, expected one of the two", objective, o.Margin)
	}
	if strings.Contains(takes, "margin") && !o.Soft {
		if o.Margin = cmp.Or(o.Margin, DefaultMargin(objective, head, o.Features)); o.Margin == 0 {
			return o, errors.Errorf("%s with %s: found neither a margin nor the number of features, on which the usual one depends", objective, head)
		}
	}
	if strings.Contains(takes, "scale") {
		o.Scale = cmp.Or(o.Scale, DefaultScale(head))
	}
	if strings.Contains(takes, "temperature") {
		o.Temperature = cmp.Or(o.Temperature, DefaultTemperature(head))
	}
	return o, nil
}

// DefaultMargin is the margin to begin with, in the distance of the head between
// embeddings of so many features:
//
//	                                     l2   squared-l2  l1, weighted-l1  cosine
//	contrastive, batch-contrastive       1    –           √features        0.5
//	triplet, batch-*, semi-hard          0.2  0.2         1                0.1
//
// Contrastive's margin is a distance. Embeddings 1 apart by l2 are √features
// apart by l1 where all features differ alike. At a margin of 1 unlike pairs of
// many features all begin beyond it: like pairs are pulled together, nothing is
// pushed apart, and nothing is learned. The others' margin is a difference of
// distances, about 0 at first whatever their size. 0.2 is that of Schroff,
// Kalenichenko & Philbin 2015 (squared-l2 over unit vectors) and of Hermans,
// Beyer & Leibe 2017 (l2). Over unit vectors squared-l2 is twice the cosine
// distance, hence 0.1; an l1 distance is larger than the others, hence 1.
func DefaultMargin(objective, head string, features int) float64 {
	contrastive, l1 := strings.HasSuffix(objective, "contrastive"), strings.HasSuffix(head, "l1")
	switch {
	case head == "cosine" && contrastive:
		return 0.5
	case head == "cosine":
		return 0.1
	case l1 && contrastive:
		return math.Sqrt(float64(features))
	case l1 || contrastive:
		return 1
	}
	return 0.2
}

// DefaultScale is the scale of the ratio losses to begin with: 20 with cosine, whose
// distances stay of the order of 1 whatever is learned; otherwise 1, as Hoffer &
// Ailon 2015 have it.
//
// At 20 a triplet rests, d₊ = σ(−4) = 0.02, where the negative is twice
// DefaultMargin farther than the positive. On MNIST's digits 0 to 3 a Conv4 of
// width 16 was trained for 350 steps: the ROC AUC on the digits 4 to 6 rose by
// 0.10 at the scale 10, 0.14 at 20 and 0.11 at 30, and not at all at 1.
func DefaultScale(head string) float64 {
	if head == "cosine" {
		return 20
	}
	return 1
}

// DefaultTemperature is the temperature of the softmax objectives to begin
// with: 0.05 with cosine, whose distances stay of the order of 1 whatever is
// learned; otherwise 1, as Goldberger et al. 2004 and Snell et al. 2017 have it.
func DefaultTemperature(head string) float64 {
	if head == "cosine" {
		return 0.05
	}
	return 1
}
