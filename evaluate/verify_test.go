package evaluate_test

import (
	"math"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
)

// Four points on a line: the pairs of one class are at 1 and 3, that of two at
// 2, so that one of the two is closer.
func TestVerifyByHand(t *testing.T) {
	points, err := evaluate.NewEmbeddings(4, 1, []float32{0, 1, 4, 6})
	if err != nil {
		t.Fatal(err)
	}
	pairs := []evaluate.Pair{{Left: 0, Right: 1}, {Left: 1, Right: 2}, {Left: 3, Right: 2, Different: true}}
	verification, err := evaluate.Verify(euclidean, points, pairs)
	if err != nil {
		t.Fatal(err)
	}
	if found := verification.AUC().Value; math.Abs(found-0.5) > 1e-12 {
		t.Errorf("AUC: found %v, expected 0.5", found)
	}
	for _, image := range []int{-1, 4} {
		_, err := evaluate.Verify(euclidean, points, append(pairs, evaluate.Pair{Left: 2, Right: image}))
		if err == nil || !strings.Contains(err.Error(), "pair 3 is of the images 2 and") {
			t.Errorf("image %d of 4: found error %v", image, err)
		}
	}
}
