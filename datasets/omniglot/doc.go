// Package omniglot embeds a part of Omniglot (Lake, Salakhutdinov & Tenenbaum 2015,
// "Human-level concept learning through probabilistic program induction") in the program,
// so that a network can be trained and its one-shot accuracy measured without a download:
//
//   - Small1 is the first of the authors' two minimal background sets: 2,720 drawings of
//     the 136 characters of five alphabets (Balinese, Early Aramaic, Greek, Korean and
//     Latin), each drawn once by twenty people, for training.
//   - Runs are the authors' twenty one-shot tasks, whose characters come from the
//     alphabets of the evaluation set: 400 trials in all. In each trial one image is
//     assigned to one of twenty characters of its alphabet, given one example of each
//     character.
//
// Published accuracies on these runs are 95.5 % for people, 95.8 % for Bayesian program
// learning trained on Small1 (Lake et al. 2015; Lake, Salakhutdinov & Tenenbaum 2019,
// "The Omniglot challenge"), and 92.0 % for the siamese network of Koch, Zemel &
// Salakhutdinov 2015, trained on all 30 background alphabets.
//
// The files are the official ones of https://github.com/brendenlake/omniglot, under the
// MIT license, which License returns. A program that imports this package is 1.7 MB
// larger. The complete set is read by datasets.Open from a folder.
package omniglot
