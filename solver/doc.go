// Package solver goes from gradients to the next weights.
//
// Its few nouns:
//
//   - A [Parameter] is a weight with the gradient of the last run and a name.
//   - A [Solver] changes weights in place, one Step per batch: [SGD], or [Adam]
//     with and without decoupled weight decay. Both are gorgonia.Solvers.
//   - A [Schedule] says which rate each step has: [Constant], [Step],
//     [Exponential], [Cosine], any of them behind a [Warmup].
//   - A [Layer] gives some parameters a rate, momentum or decay of their own.
//   - An [Average] is the moving average of the weights, for evaluation.
//   - A [State] is what a solver or an average remembers, for checkpoints.
//   - A [Config] names all of it in a file; [New] builds it.
//
// A training loop sets the rate and steps:
//
//	s, schedule, err := solver.New(config, length)
//	for step := s.Progress().Steps; step < length.Steps(); step++ {
//		// run the graph
//		s.SetRate(schedule.Rate(step, length.Steps()))
//		err := s.Step(parameters)
//	}
//
// # What a step promises
//
// A step is checked before it is taken. A parameter without a gradient
// ([ErrNoGradient]), a gradient that is not finite ([ErrNotFinite]), and a set
// of parameters, a shape or a dtype that is not that of the first step
// ([ErrChanged]) are errors that name the parameter, and then no weight and no
// moment has changed.
//
// A step reads gradients and does not write them, since two parameters may
// share the memory of one gradient. Where gradients accumulate from run to run,
// as they do for nodes bound by gorgonia.BindDualValues, clear them before
// each run.
//
// Every element is updated by itself, in the arithmetic of its parameter, and
// the gradient's norm is summed over pieces of fixed size: the same gradients
// give the same bits on any number of threads. After the first, a step
// allocates nothing.
//
// # L2 and weight decay
//
// L2 is the coupled penalty λ‖w‖²: 2λw is added to the gradient, as if the
// penalty were a term of the objective. Where the objective has that term, leave
// L2 zero here. (PyTorch's weight_decay adds λw, so it is twice this λ.) Weight
// decay is the decoupled one of Loshchilov & Hutter (2019): the weight is
// multiplied by 1 − ηλ. Both leave alone what is no convolution kernel or
// matrix; see [Parameter].
//
// A solver belongs to one goroutine; its steps make use of all threads.
package solver
