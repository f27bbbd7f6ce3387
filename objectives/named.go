package objectives

import (
	"strings"

	"github.com/likeness-go/likeness/heads"
)

// Options are what a named objective leaves open. The zero value is the usual
// choice; an option that the named objective does not have is an error.
type Options struct {
	Margin      float64 // where distances are asked for; 0 is DefaultMargin
	Scale       float64 // triplet-ratio, batch-ratio; 0 is DefaultScale
	Temperature float64 // n-pair, supervised-contrastive, nca, prototypical; 0 is DefaultTemperature
	Soft        bool    // triplet, batch-all, batch-hard: without a margin
	Balanced    bool    // batch-contrastive, batch-cross-entropy
	Features    int     // of an embedding, which DefaultMargin asks for contrastive with l1 and weighted-l1
}

// Names are the objectives that Named knows.
var Names = []string{
	"batch-all", "batch-contrastive", "batch-cross-entropy", "batch-hard", "batch-ratio",
	"contrastive", "cross-entropy", "n-pair", "nca", "prototypical", "semi-hard",
	"supervised-contrastive", "triplet", "triplet-ratio",
}

// Named finds an objective and the head that goes with it by their names. See
// HeadFor for the names of heads.
func Named(objective, head string, o Options) (Objective, heads.Head, error) {
	o, err := Usual(objective, head, o)
	if err != nil {
		return nil, nil, err
	}
	found, _ := named(objective, o)
	with, err := HeadFor(found, head)
	return found, with, err
}

// named also tells which options the objective takes; it is nil where there is
// no such objective.
func named(name string, o Options) (objective Objective, takes string) {
	switch name {
	case "contrastive":
		return Contrastive{Margin: o.Margin}, "margin"
	case "triplet":
		return Triplet{Margin: o.Margin, Soft: o.Soft}, "margin soft"
	case "triplet-ratio":
		return TripletRatio{Scale: o.Scale}, "scale"
	case "cross-entropy":
		return CrossEntropy{}, ""
	case "batch-contrastive":
		return BatchContrastive{Margin: o.Margin, Balanced: o.Balanced}, "margin balanced"
	case "batch-cross-entropy":
		return BatchCrossEntropy{Balanced: o.Balanced}, "balanced"
	case "batch-all":
		return BatchAll{Margin: o.Margin, Soft: o.Soft}, "margin soft"
	case "batch-hard":
		return BatchHard{Margin: o.Margin, Soft: o.Soft}, "margin soft"
	case "batch-ratio":
		return BatchRatio{Scale: o.Scale}, "scale"
	case "semi-hard":
		return SemiHard{Margin: o.Margin}, "margin"
	case "n-pair":
		return NPair{Temperature: o.Temperature}, "temperature"
	case "supervised-contrastive":
		return SupervisedContrastive{Temperature: o.Temperature}, "temperature"
	case "nca":
		return NCA{Temperature: o.Temperature}, "temperature"
	case "prototypical":
		return Prototypical{Temperature: o.Temperature}, "temperature"
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
