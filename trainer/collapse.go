package trainer

import (
	"fmt"
	"math"

	"github.com/likeness-go/likeness/objectives"
)

// Collapse is a sign that a training does not tell images apart: it will hardly
// come to anything by going on as it is.
type Collapse struct {
	Step  int
	Found string // what is seen, in numbers
	Try   string // what helps, as a rule
}

func (c Collapse) String() string {
	return fmt.Sprintf("step %d: %s; try %s", c.Step, c.Found, c.Try)
}

// What counts as a collapse. A healthy training begins near the first bound,
// since its first embeddings are alike, and leaves it within a window.
const (
	windows      = 10   // in a training, each looked at as a whole
	leastWindow  = 20   // steps
	nearPlateau  = 1e-3 // of a cost relative to that of equal embeddings
	leastSpread  = 1e-2 // of the embeddings relative to their size, as a part of the first
	leastSize    = 1e-3 // of how far they spread, as a part of the first
	sampleImages = 64   // that are looked at again and again
)

// signs are what is seen of a window of steps.
type signs struct {
	cost    float64 // mean
	plateau float64 // the cost of a network that gives all images one embedding
	sample  spread
	before  spread  // before the first step
	active  float64 // share of the sample's triplets within the margin; NaN without margin
}

// spread is how far the sample's embeddings lie from their mean: the root mean
// square of the distance, and the same as a part of their own root mean square.
type spread struct{ absolute, relative float64 }

// collapse says what the signs of two windows in a row amount to.
func (now signs) collapse(step int, earlier signs) *Collapse {
	stuck := func(s signs) bool { return s.plateau > 0 && math.Abs(s.cost/s.plateau-1) < nearPlateau }
	narrow := func(s signs) bool {
		return !(s.sample.relative > leastSpread*s.before.relative && s.sample.absolute > leastSize*s.before.absolute)
	}
	switch {
	case narrow(now) && narrow(earlier):
		return &Collapse{step,
			fmt.Sprintf("all images have nearly one embedding: they lie %.2g from their mean, %.2g of their size; before training %.2g and %.2g",
				now.sample.absolute, now.sample.relative, now.before.absolute, now.before.relative),
			"a lower learning rate, a smaller penalty, a larger margin, or batch norm"}
	case stuck(now) && stuck(earlier):
		return &Collapse{step,
			fmt.Sprintf("the loss is stuck at %.4f, that of a network that gives all images one embedding (%.4f)", now.cost, now.plateau),
			"a lower learning rate with warm-up, random triplets or batch-all before batch-hard, or another scale of the weights"}
	case now.active == 1 && earlier.active == 1 && now.cost >= now.plateau:
		return &Collapse{step,
			"every triplet is within the margin, and the loss is no lower than for equal embeddings",
			"a lower learning rate, a smaller margin, or easier triplets"}
	case now.active == 0 && earlier.active == 0 && now.cost == 0 && earlier.cost == 0:
		return &Collapse{step,
			"no triplet is within the margin any more: nothing is learned from them",
			"harder triplets (batch-hard, semi-hard), a larger margin, or an end of the training"}
	}
	return nil
}

// marginOf is the margin of a triplet loss that has one.
func marginOf(objective objectives.Loss) (margin float64, found bool) {
	if o, ok := objective.(objectives.MarginLoss); ok {
		return o.HingeMargin()
	}
	return 0, false
}
