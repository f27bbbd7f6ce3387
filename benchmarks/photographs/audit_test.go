package main

import (
	"math"
	"slices"
	"testing"
)

// Every exchanged label is wrong, and each class keeps its number of labels.
func TestExchange(t *testing.T) {
	var labels []int
	for class, images := range []int{20, 25, 20, 20, 15} {
		labels = append(labels, slices.Repeat([]int{class}, images)...)
	}
	for seed := range uint64(50) {
		noisy, exchanged := exchange(labels, 0.3, seed)
		for i, label := range noisy {
			if (label != labels[i]) != exchanged[i] {
				t.Fatalf("seed %d: image %d of class %d has the label %d, exchanged: %t", seed, i, labels[i], label, exchanged[i])
			}
		}
		if !slices.Equal(slices.Sorted(slices.Values(noisy)), labels) || countTrue(exchanged) != 30 {
			t.Errorf("seed %d: %d are exchanged, and the labels are no permutation", seed, countTrue(exchanged))
		}
	}
}

// By hand: the relevant rows are at the places 1 and 4.
func TestAveragePrecision(t *testing.T) {
	found := averagePrecision([]int{3, 0, 2, 1}, []bool{false, true, false, true})
	if want := (1 + 2./4) / 2; math.Abs(found-want) > 1e-12 {
		t.Errorf("found %v, expected %v", found, want)
	}
}
