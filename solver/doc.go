// Package solver updates weights from their gradients.
//
// Its main types:
//
//   - A [Parameter] is a weight with its gradient of the last run and a name.
//   - A [Solver] changes weights in place, one Step for each batch: [SGD], or [Adam]
//     with and without decoupled weight decay. Both are gorgonia.Solvers.
//   - A [Schedule] is the learning rate of each step: [Constant], [Step],
//     [Exponential] or [Cosine], each with an optional [Warmup].
//   - A [Layer] sets the learning rate, momentum or decay of some parameters.
//   - An [Average] is the moving average of the weights, for evaluation.
//   - A [State] contains the variables of a solver or an average, for checkpoints.
//   - A [Config] describes all of these in a file; [New] creates them.
//
// A training loop sets the learning rate and steps:
//
//	s, schedule, err := solver.New(config, length)
//	for step := s.Progress().Steps; step < length.Steps(); step++ {
//		// run the graph
//		s.SetLearningRate(schedule.LearningRate(step, length.Steps()))
//		err := s.Step(program.Gradients())
//	}
//
// # Guarantees of a step
//
// A step is validated before it changes anything. A parameter without a gradient
// ([ErrNoGradient]), a gradient that is not finite ([ErrNotFinite]), and a set of
// parameters, a shape or an element type other than those of the first step
// ([ErrChanged]) are errors that name the parameter; then no weight and no moment has
// changed.
//
// A step does not change gradients, because two parameters may share the memory of
// one. If gradients accumulate from run to run, as they do for nodes bound by
// gorgonia.BindDualValues, clear them before each run.
//
// Every element is updated independently, in the element type of its parameter, and
// the norm of the gradients is summed over chunks of fixed size: the same gradients
// give the same bits with any number of threads. Steps after the first allocate no
// memory but a few words for the division among threads.
//
// # L2 and weight decay
//
// L2 is the penalty λ‖w‖²: 2λw is added to the gradient, as if the penalty were a
// term of the loss. If the loss has that term, leave L2 zero. (PyTorch's weight_decay
// adds λw, so it is twice this λ.) Weight decay is the decoupled one of Loshchilov &
// Hutter (2019): the weight is multiplied by 1 − ηλ. Both apply to convolution kernels
// and fully connected weights only; see [Parameter].
//
// A solver must not be used by two goroutines at once; its steps use all threads.
package solver
