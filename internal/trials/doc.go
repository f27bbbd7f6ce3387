// Package trials puts the tuples that package datasets draws to the measures of
// package evaluate, which do not know each other.
//
// Its nouns are theirs: Embeddings of a data set, a Verification of pairs, and
// the Trials of one-shot episodes.
package trials
