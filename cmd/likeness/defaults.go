package main

import "strings"

// defaults are the settings of the default job. A zero stands for the usual
// choice of what is set elsewhere: the margin of the objective and the head,
// the size of the images.
var defaults = Settings{
	Alphabets: "background",
	CropLeast: 0.38, // of crop, which is off while it is 0

	Backbone: "lenet",
	Features: 16,

	Objective: "contrastive",

	Epochs:   7,
	Batch:    128,
	PerClass: 4,
	Seed:     1,

	// Koch, Zemel & Salakhutdinov 2015, section 3.2; off while augment is 0.
	Rotation: 10, Shear: 0.3, ScaleMin: 0.8, ScaleMax: 1.2, Translation: 2, Smoothness: 4,

	Solver:   "adam",
	Rate:     3e-3,
	Schedule: "cosine",
}

// What a run is validated by: Koch's 320 one-shot trials, or verification.
const (
	validationTrials = 320
	validationWays   = 20
	validationImages = 2000
	validationPairs  = 4000
)

// Images that differ in size, or are larger than largestSide either way, are
// brought to usualSide where no size is chosen.
const (
	largestSide = 128
	usualSide   = 64
)

// usualHead is the head that an objective has where none is chosen.
func usualHead(objective string) string {
	if strings.HasSuffix(objective, "cross-entropy") {
		return "weighted-l1" // Koch's
	}
	return "l2"
}
