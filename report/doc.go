// Package report says how good a trained model is, honestly: every figure
// stands beside that of the untrained network and that of raw pixels, with its
// 95 % interval and the protocol that it was measured by.
//
// Its nouns: a Plan draws the trials from an experiment's test data once; a
// Report holds what the three contenders made of them, as a table and as
// result.json.
package report
