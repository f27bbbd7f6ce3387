package objectives

import (
	"strings"

	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/nearest"
	"github.com/pkg/errors"
)

// Options are what a named objective leaves open. The zero value is the usual
// choice; an option that the named objective does not have is an error.
type Options struct {
	Margin   float64 // of all but triplet-ratio and the cross-entropies; 0 is DefaultMargin
	Soft     bool    // triplet, batch-all, batch-hard: without a margin
	Balanced bool    // batch-contrastive, batch-cross-entropy
}

// Names are the objectives that Named knows.
var Names = []string{
	"batch-all", "batch-contrastive", "batch-cross-entropy", "batch-hard",
	"contrastive", "cross-entropy", "semi-hard", "triplet", "triplet-ratio",
}

// Named finds an objective and the head that goes with it by their names. See
// HeadFor for the names of heads.
func Named(objective, head string, o Options) (Objective, heads.Head, error) {
	if o.Margin < 0 {
		return nil, nil, errors.Errorf("%s: found margin %v, expected a positive number, or 0 for the usual one", objective, o.Margin)
	}
	found, takes := named(objective, o, DefaultMargin(objective, head))
	if found == nil {
		return nil, nil, nearest.Unknown("objective", objective, Names)
	}
	for _, option := range []struct {
		key   string
		given bool
	}{{"margin", o.Margin != 0}, {"soft", o.Soft}, {"balanced", o.Balanced}} {
		if option.given && !strings.Contains(takes, option.key) {
			return nil, nil, errors.Errorf("%s has no option %s", objective, option.key)
		}
	}
	if o.Soft && o.Margin != 0 {
		return nil, nil, errors.Errorf("%s: found margin %v and soft, expected one of the two", objective, o.Margin)
	}
	with, err := HeadFor(found, head)
	return found, with, err
}

// named also tells which options the objective takes.
func named(name string, o Options, margin float64) (objective Objective, takes string) {
	if o.Margin != 0 {
		margin = o.Margin
	}
	if o.Soft {
		margin = 0
	}
	switch name {
	case "contrastive":
		return Contrastive{Margin: margin}, "margin"
	case "triplet":
		return Triplet{Margin: margin, Soft: o.Soft}, "margin soft"
	case "triplet-ratio":
		return TripletRatio{}, ""
	case "cross-entropy":
		return CrossEntropy{}, ""
	case "batch-contrastive":
		return BatchContrastive{Margin: margin, Balanced: o.Balanced}, "margin balanced"
	case "batch-cross-entropy":
		return BatchCrossEntropy{Balanced: o.Balanced}, "balanced"
	case "batch-all":
		return BatchAll{Margin: margin, Soft: o.Soft}, "margin soft"
	case "batch-hard":
		return BatchHard{Margin: margin, Soft: o.Soft}, "margin soft"
	case "semi-hard":
		return SemiHard{Margin: margin}, "margin"
	}
	return nil, ""
}

// HeadFor finds the head of a name for an objective. The name "weighted-l1"
// means the signed one under the cross-entropies and the one that is a
// distance under all others. It is an error when the two do not go together.
func HeadFor(objective Objective, name string) (heads.Head, error) {
	if name == "weighted-l1" && strings.HasSuffix(objective.Name(), "cross-entropy") {
		name = "signed-weighted-l1"
	}
	head, err := heads.Named(name)
	if err != nil {
		return nil, err
	}
	return head, objective.Check(head)
}

// DefaultMargin is the margin to begin with, in the distance of the head:
//
//	                                     l2   squared-l2  l1, weighted-l1  cosine
//	contrastive, batch-contrastive       1    –           1                0.5
//	triplet, batch-*, semi-hard          0.2  0.2         1                0.1
//
// 0.2 is that of Schroff, Kalenichenko & Philbin 2015 (squared-l2 over unit
// vectors) and of Hermans, Beyer & Leibe 2017 (l2). Over unit vectors
// squared-l2 is twice the cosine distance, hence 0.1. An l1 distance grows with
// the number of features as no other does, hence 1.
func DefaultMargin(objective, head string) float64 {
	contrastive := strings.HasSuffix(objective, "contrastive")
	switch {
	case head == "cosine" && contrastive:
		return 0.5
	case head == "cosine":
		return 0.1
	case contrastive || strings.HasSuffix(head, "l1"):
		return 1
	}
	return 0.2
}
