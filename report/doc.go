// Package report says how good a trained model is, honestly: every figure
// stands beside that of the untrained network and that of raw pixels, with its
// 95 % interval and the protocol that it was measured by.
//
// Its nouns:
//
//   - A Plan draws the trials from an experiment's test data once, and Measure
//     puts three contenders to them: the trained network, the untrained one and
//     raw pixels.
//   - A Figure is what the trained network achieved, beside the other two.
//   - A Report holds the figures, as a table and as result.json, and the
//     Provenance of the run.
//   - Evidence is the images behind the figures: Examine is Measure that keeps
//     it, for people to look at.
package report
