package main

import "slices"

// median of one number or more.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// ratio is how many times as long one takes as another.
type ratio struct {
	value     float64 // of the medians over all rounds
	low, high float64 // the least and the greatest of a single round
}

// ratioOf the times of two in the same rounds.
func ratioOf(over, under []float64) ratio {
	each := make([]float64, len(over))
	for round := range each {
		each[round] = over[round] / under[round]
	}
	return ratio{median(over) / median(under), slices.Min(each), slices.Max(each)}
}
