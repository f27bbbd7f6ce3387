package objectives

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Options are the parameters of Named. Zero values stand for defaults; an option that the
// loss does not have is an error.
type Options struct {
	Margin      float64 // 0: DefaultMargin
	Scale       float64 // triplet-ratio, batch-ratio: 0 means DefaultScale; arcface, circle, cosface, proxy-anchor, soft-triple, subcenter-arcface, tuplet-margin: 0 means that of the paper
	Temperature float64 // n-pair, supervised-contrastive, nca, prototypical, normalized-softmax, proxy-nca, proxy-nca++, simclr: 0 means DefaultTemperature, for proxy-nca and smooth-ap that of the paper; soft-triple: 0 means 0.1
	Soft        bool    // triplet, batch-all, batch-hard: softplus instead of the hinge, without a margin
	Balanced    bool    // batch-contrastive, batch-cross-entropy: same-class and different-class pairs have equal total weight
	Centers     int     // subcenter-arcface, soft-triple: vectors of each class; 0 means 3 and 10

	Mining        Mining  // batch-all, batch-hard, circle, lifted-structure, n-pair, semi-hard, tuplet-margin: EasyPositive; margin, multi-similarity: AllPairs
	PositiveScale float64 // multi-similarity
	NegativeScale float64 // multi-similarity
	Base          float64 // multi-similarity; 1 in the paper
	Epsilon       float64 // multi-similarity: of its mining
	Angle         float64 // angular: degrees
	Beta          float64 // margin: the initial boundary
	PerClass      bool    // margin: a boundary for each class
	Bins          int     // fastap

	Invariance float64 // vicreg: weights of its terms
	Variance   float64 // vicreg
	Covariance float64 // vicreg
	Redundancy float64 // barlow-twins

	Features int // number of features of an embedding, which DefaultMargin needs for contrastive losses with l1 and weighted-l1
}

// builtin are the losses that Named knows, in the order of their names. The
// options of a loss are those fields of Options that it has itself.
var builtin = []Loss{
	Angular{}, ArcFace{}, BarlowTwins{}, BatchAll{}, BatchContrastive{}, BatchCrossEntropy{}, BatchHard{}, BatchRatio{},
	Circle{}, Contrastive{}, CosFace{}, CrossEntropy{}, FastAP{}, LiftedStructure{}, Margin{}, MultiSimilarity{},
	NPair{}, NCA{}, NormalizedSoftmax{}, Prototypical{}, ProxyAnchor{}, ProxyNCA{}, ProxyNCAPlusPlus{},
	SemiHard{}, SimCLR{}, SmoothAP{}, SoftTriple{}, SubCenterArcFace{}, SupervisedContrastive{},
	Triplet{}, TripletRatio{}, TupletMargin{}, VICReg{},
}

// Names are the names of the losses that Named returns.
var Names = names()

func names() (names []string) {
	for _, loss := range builtin {
		names = append(names, loss.Name())
	}
	return names
}

// Named returns a loss and its head by their names. See HeadFor for the names of heads
// and Defaults for the options.
func Named(loss, head string, o Options) (Loss, heads.Head, error) {
	named, _, err := complete(loss, head, o)
	if err != nil {
		return nil, nil, err
	}
	with, err := HeadFor(named, head)
	return named, with, err
}

// HeadFor returns the head with the given name for a loss. The name "weighted-l1" means
// signed-weighted-l1 for the cross-entropies, and weighted-l1, which is a distance, for
// all other losses. If the loss and the head cannot be combined, the error gives the
// reason.
func HeadFor(loss Loss, name string) (head heads.Head, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.Errorf("loss of type %T panics: %v", loss, r)
		}
	}()
	if loss == nil {
		return nil, errors.New("found no loss, expected one of package objectives or one of your own")
	}
	if head, err = heads.Named(name); err != nil {
		return nil, err
	}
	if head == (heads.WeightedL1{}) && takesSigned(loss) {
		head = heads.WeightedL1{Signed: true}
	}
	return head, loss.Check(head)
}

// DefaultHead returns the name of the head that a loss of this package is used with if
// none is chosen: weighted-l1 for the cross-entropies (Koch, Zemel & Salakhutdinov 2015),
// cosine for the losses with class vectors, whose papers compare directions, and for those
// of batches that are functions of cosine similarities and for those of views, and otherwise
// l2.
func DefaultHead(loss string) string {
	named, err := lookup(loss)
	if err != nil {
		return "l2"
	}
	if _, ok := named.(ClassVectorLoss); ok {
		return "cosine"
	}
	if own, ok := named.(interface{ defaultHead() string }); ok {
		return own.defaultHead()
	}
	if _, ok := named.(hasDefaults); ok {
		if _, _, err := Named(loss, "l2", Options{}); err != nil {
			return "cosine" // such as circle, which has no other head
		}
	}
	if takesSigned(named) {
		return "weighted-l1"
	}
	return "l2"
}

// takesSigned reports whether a loss prefers a weighted head whose values may be
// negative.
func takesSigned(loss Loss) bool {
	if sum, ok := loss.(Sum); ok {
		for _, term := range sum {
			if !takesSigned(term.Loss) {
				return false
			}
		}
		return len(sum) > 0
	}
	if memory, ok := loss.(CrossBatchMemory); ok {
		return takesSigned(memory.Loss)
	}
	signed, ok := loss.(interface{ takesSigned() bool })
	return ok && signed.takesSigned()
}

// Defaults returns the options with which Named creates a loss: numbers that are 0 are
// replaced by the defaults, if the loss has them. An option that the loss does not have is an
// error.
func Defaults(loss, head string, o Options) (Options, error) {
	_, complete, err := complete(loss, head, o)
	return complete, err
}

// complete replaces the zero values of the options by defaults and also returns the loss
// with the options.
func complete(loss, head string, o Options) (Loss, Options, error) {
	named, err := lookup(loss)
	if err != nil {
		return nil, o, err
	}
	with, err := heads.Named(head)
	if err != nil {
		return nil, o, err
	}
	if _, err := withOptions(named, o); err != nil {
		return nil, o, err
	}
	for _, option := range []struct {
		name  string
		value float64
	}{
		{"margin", o.Margin}, {"scale", o.Scale}, {"temperature", o.Temperature}, {"positive scale", o.PositiveScale},
		{"negative scale", o.NegativeScale}, {"epsilon", o.Epsilon}, {"angle", o.Angle}, {"beta", o.Beta}, {"bins", float64(o.Bins)},
		{"invariance", o.Invariance}, {"variance", o.Variance}, {"covariance", o.Covariance}, {"redundancy", o.Redundancy},
	} {
		if option.value < 0 {
			return nil, o, errors.Errorf("%s: found %s %v, expected a positive number, or 0 for the default", loss, option.name, option.value)
		}
	}
	o = withDefaults(named, o)
	if o.Soft && o.Margin != 0 {
		return nil, o, errors.Errorf("%s: found margin %v and soft, expected one of the two", loss, o.Margin)
	}
	if hasOption(named, "Margin") && !o.Soft {
		if o.Margin = cmp.Or(o.Margin, DefaultMargin(named, with, o.Features)); o.Margin == 0 {
			return nil, o, errors.Errorf("%s with %s: found neither a margin nor the number of features, on which the default depends", loss, head)
		}
	}
	if o.Centers < 0 {
		return nil, o, errors.Errorf("%s: found %d centers, expected a positive number, or 0 for the default", loss, o.Centers)
	}
	if hasOption(named, "Scale") {
		o.Scale = cmp.Or(o.Scale, scaleOf(named, with))
	}
	if hasOption(named, "Temperature") {
		o.Temperature = cmp.Or(o.Temperature, temperatureOf(named, with))
	}
	if centered, ok := named.(interface{ defaultCenters() int }); ok {
		o.Centers = cmp.Or(o.Centers, centered.defaultCenters())
	}
	named, err = withOptions(named, o)
	return named, o, err
}

// DefaultMargin returns the default margin of a loss, in units of the head's distance
// between embeddings of the given dimension; 0 for a loss without a margin:
//
//	                               l2   squared-l2  l1, weighted-l1  cosine
//	contrastive, batch-contrastive 1    –           √features        0.5
//	triplet, batch-*, semi-hard    0.2  0.2         1                0.1
//	arcface, subcenter-arcface     –    –           –                28.6 degrees
//	cosface                        –    –           –                0.35
//	proxy-anchor                   –    –           –                0.1
//	soft-triple                    –    –           –                0.01
//	circle                         –    –           –                0.4
//	lifted-structure               1    1           1                1
//	margin                         0.2  0.2         0.2              0.2
//	tuplet-margin                  –    –           –                5.73°
//
// The margin of the contrastive losses is a distance. An L2 distance of 1 is an L1
// distance of √features if all features differ equally. With a margin of 1 and many
// features, the distances of all different pairs would initially exceed the margin: the
// loss would only decrease the distances of same-class pairs, and the embeddings would
// collapse. The margin of the other losses is a difference of distances, which is
// initially about 0 whatever the distances are. 0.2 is that of Schroff, Kalenichenko &
// Philbin 2015 (squared-l2 over unit vectors) and of Hermans, Beyer & Leibe 2017 (l2).
// Over unit vectors squared-l2 is twice the cosine distance, hence 0.1; an l1 distance is
// larger than the others, hence 1. The margins of losses with class vectors are those of
// their papers.
func DefaultMargin(loss Loss, head heads.Head, features int) float64 {
	if triplets, ok := loss.(MarginLoss); ok {
		if _, hinge := triplets.HingeMargin(); !hinge {
			return 0 // the soft form
		}
	}
	if own, ok := loss.(hasDefaults); ok {
		return own.defaults().Margin
	}
	if margined, ok := loss.(interface {
		defaultMargin(heads.Properties, int) float64
	}); ok && head != nil {
		return margined.defaultMargin(head.Properties(), features)
	}
	return 0
}

// distanceMargin is the default of a margin that is a distance.
func distanceMargin(head heads.Properties, features int) float64 {
	switch {
	case head.Max > 0:
		return head.Max / 4
	case head.Sums:
		return math.Sqrt(float64(features))
	}
	return 1
}

// differenceMargin is the default of a margin that is a difference of distances.
func differenceMargin(head heads.Properties) float64 {
	switch {
	case head.Max > 0:
		return head.Max / 20
	case head.Sums:
		return 1
	}
	return 0.2
}

// DefaultScale returns the default scale of the ratio losses (circle has 80 and tuplet-margin
// 64): 20 with cosine, whose distances are at most 2 whatever the network learns; otherwise 1, as in Hoffer & Ailon
// 2015.
//
// At scale 20 a triplet has nearly no loss, d₊ = σ(−4) = 0.02, if the negative is twice
// DefaultMargin farther than the positive. On MNIST's digits 0 to 3 a Conv4 of width 16
// was trained for 350 steps: the ROC AUC on the digits 4 to 6 rose by 0.10 at the scale
// 10, 0.14 at 20 and 0.11 at 30, and not at all at 1.
func DefaultScale(head heads.Head) float64 {
	if head != nil && head.Properties().Max > 0 {
		return 40 / head.Properties().Max
	}
	return 1
}

// DefaultTemperature returns the default temperature of the softmax losses (smooth-ap has a
// fifth of it, and simclr twice it with cosine): 0.05 with cosine, whose distances are at most 2 whatever the network learns; otherwise 1, as in
// Goldberger et al. 2004 and Snell et al. 2017.
func DefaultTemperature(head heads.Head) float64 {
	if head != nil && head.Properties().Max > 0 {
		return head.Properties().Max / 40
	}
	return 1
}

// scaleOf is the default scale of a loss: its own or DefaultScale.
func scaleOf(loss Loss, head heads.Head) float64 {
	if scaled, ok := loss.(interface{ defaultScale() float64 }); ok {
		return scaled.defaultScale()
	}
	return DefaultScale(head)
}

// hasDefaults is a loss with defaults of its own, which do not depend on the head.
type hasDefaults interface{ defaults() Options }

// withDefaults replaces the zeros of options by the defaults that the loss has of its own.
func withDefaults(loss Loss, o Options) Options {
	own, ok := loss.(hasDefaults)
	if !ok {
		return o
	}
	defaults, options := reflect.ValueOf(own.defaults()), reflect.ValueOf(&o).Elem()
	for i := range options.NumField() {
		if options.Field(i).IsZero() {
			options.Field(i).Set(defaults.Field(i))
		}
	}
	return o
}

// temperatureOf is the default temperature of a loss: its own or DefaultTemperature.
func temperatureOf(loss Loss, head heads.Head) float64 {
	if tempered, ok := loss.(interface {
		defaultTemperature(heads.Head) float64
	}); ok {
		return tempered.defaultTemperature(head)
	}
	return DefaultTemperature(head)
}

func lookup(name string) (Loss, error) {
	for _, loss := range builtin {
		if loss.Name() == name {
			return loss, nil
		}
	}
	return nil, wording.Unknown("objective", name, Names)
}

// withOptions is a loss of this package with its fields set to the options of the
// same names. An option that is given and that it does not have is an error.
func withOptions(loss Loss, o Options) (Loss, error) {
	result := reflect.New(reflect.TypeOf(loss)).Elem()
	options := reflect.ValueOf(o)
	for i := range options.NumField() {
		name, value := options.Type().Field(i).Name, options.Field(i)
		if name == "Features" {
			continue // no option, but what a default depends on
		}
		if hasOption(loss, name) {
			result.FieldByName(name).Set(value)
		} else if !value.IsZero() {
			return nil, errors.WithStack(noOption{loss, optionName(name)})
		}
	}
	return result.Interface().(Loss), nil
}

// ErrNoOption is the error of Named and Defaults for an option that the loss does not have.
var ErrNoOption = errors.New("the loss has no such option")

// noOption names the loss and the option of an ErrNoOption.
type noOption struct {
	loss   Loss
	option string
}

func (n noOption) Error() string {
	var known []string
	options := reflect.TypeFor[Options]()
	for i := range options.NumField() {
		if name := options.Field(i).Name; name != "Features" && hasOption(n.loss, name) {
			known = append(known, optionName(name))
		}
	}
	if len(known) == 0 {
		return fmt.Sprintf("%s has no option %s, nor any other", n.loss.Name(), n.option)
	}
	return fmt.Sprintf("%s has no option %s; it has %s", n.loss.Name(), n.option, strings.Join(known, ", "))
}

func (n noOption) Is(target error) bool { return target == ErrNoOption }

// optionName is the name of a field of Options in messages.
func optionName(field string) string {
	switch field {
	case "Soft":
		return "soft margin"
	case "PositiveScale", "NegativeScale":
		return strings.ToLower(strings.TrimSuffix(field, "Scale")) + " scale"
	case "PerClass":
		return "beta for each class"
	}
	return strings.ToLower(field)
}

func hasOption(loss Loss, name string) bool {
	_, found := reflect.TypeOf(loss).FieldByName(name)
	return found
}
