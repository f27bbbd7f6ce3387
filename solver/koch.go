package solver

// Koch is the optimisation of Koch, Zemel & Salakhutdinov (2015), section 3.2.
//
// From the paper: SGD with momentum and L2; the rate decays by 1 percent an
// epoch, uniformly across the network; the momentum starts at 0.5 and rises
// linearly by epoch to the layer's own. (Its batches of 128, its at most 200
// epochs and its stop after 20 epochs without gain are the trainer's.)
//
// Rate, momentum and L2 the paper searched layer by layer in [1e-4, 1e-1], [0,
// 1] and [0, 0.1] and does not print. The values here are this module's choice
// from those ranges, the same for all layers: rate 1e-2, momentum 0.9, L2 1e-4,
// and a rise of the momentum by 0.01 an epoch. Layers sets others, which the
// paper's whole network needs. One rate for all layers teaches it nothing. It learns
// at a rate of 0.03 with scales of 0.02, 0.08, 0.3 and 3.3 for conv1 to conv3 and
// linear1, an L2 of 8e-3 for linear1, and momenta that rise within 20 epochs of 50
// steps, those of conv1 to conv3 to 0.98 and that of conv4 to 0.95 (go run
// ./benchmarks/reproduce koch-all-pairs). Where the objective has the L2 term of the
// paper's equation, set L2 to zero.
func Koch() Config {
	return Config{
		Solver:         "sgd",
		LearningRate:   1e-2,
		Momentum:       0.9,
		MomentumStart:  0.5,
		MomentumEpochs: 40,
		L2:             1e-4,
		Schedule:       "exponential",
		Decay:          0.99,
	}
}
