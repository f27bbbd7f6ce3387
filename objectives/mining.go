package objectives

import (
	"slices"
	"strings"

	"github.com/pkg/errors"
)

// Mining selects the references that take part in a loss of labeled images. The empty
// string is the selection that the loss documents. Each loss documents the others that it
// has, and Check refuses the rest.
type Mining string

const (
	// AllPairs turns off the mining of MultiSimilarity and Margin: every positive and
	// negative takes part.
	AllPairs Mining = "all"
	// EasyPositive takes the nearest positive of each anchor only, so that a class may form
	// several clusters; negatives are selected as without it. Source: Xuan, Stylianou &
	// Pless 2020, "Improved Embeddings with Easy Positive Triplet Mining".
	EasyPositive Mining = "easy-positive"
)

// positives are those of an anchor that take part: all, or the nearest.
func (m Mining) positives(a Anchor) []int {
	if m == EasyPositive && len(a.Positives) > 1 {
		return []int{a.Nearest(a.Positives)}
	}
	return a.Positives
}

// checkMining refuses a mining that is not among those of the loss.
func checkMining(loss Loss, mining Mining, known ...Mining) error {
	if mining == "" || slices.Contains(known, mining) {
		return nil
	}
	var names []string
	for _, each := range known {
		names = append(names, string(each))
	}
	return errors.Errorf("%s: found mining %q, expected %s, or none for that of the loss", loss.Name(), string(mining), strings.Join(names, " or "))
}
