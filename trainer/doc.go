// Package trainer is the loop that teaches a model: draw a batch, run the
// graph, step the solver, validate, go on.
//
// Its nouns:
//
//   - A Trainer holds the model, the objective, the data and the settings, and
//     Run trains. The model's weights change in place.
//   - Examples say what a step is shown: pairs, triplets or labelled batches,
//     whichever the objective judges.
//   - A Validation measures the model between epochs; the best epoch's weights
//     are kept.
//   - A checkpoint is a file with all that a run remembers, from which a later run
//     goes on as if it had never stopped.
//   - A Collapse is a sign, told once, that a training does not tell images apart.
//
// A run is determined by its settings and seed, bit for bit on one kind of
// processor, whatever the number of threads: batches, distortions and dropout
// are functions of the seed and the number of the step.
package trainer
