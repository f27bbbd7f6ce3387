// Package report measures how good a trained model is and reports it: every
// figure is given with its 95 % interval, with the protocol by which it was
// measured, and beside the figures of two baselines, the untrained network and
// raw pixels, of images scaled to at most 32×32.
//
// Its main types:
//
//   - A [Plan] draws the test pairs, one-shot trials and queries from an
//     experiment's test data once; its method Measure evaluates the trained
//     network, the untrained one and raw pixels on them.
//   - A [Figure] is the value for the trained network and for both baselines.
//   - A [Report] holds the figures, as a table and as result.json, and the
//     [Provenance] of the run.
//   - [Evidence] has the test images and distances from which the figures were computed.
//     Plan.MeasureWithEvidence is Measure that also returns it.
//   - A [Page] has all results of a run; its method Write writes report.html, one file
//     that a browser opens without a server, and its charts as PNG files. The page has no
//     script and makes no request: images and charts are embedded, class and file names
//     are escaped, and a Content-Security-Policy forbids scripts and requests.
package report
