package datasets_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/random"
)

// alphabets is a dataset of groups of the given numbers of classes, each of two
// images.
func alphabets(sizes ...int) *datasets.Dataset {
	d := &datasets.Dataset{Name: "alphabets", Size: onePixel}
	for group, size := range sizes {
		for class := range size {
			d.Classes = append(d.Classes, fmt.Sprintf("%c/%d", 'A'+group, class))
			for range 2 {
				d.Labels = append(d.Labels, len(d.Classes)-1)
				d.Images = append(d.Images, []uint8{uint8(d.Len())})
			}
		}
	}
	return d
}

// counts is how many classes of each group a batch has.
func counts(t *testing.T, d *datasets.Dataset, batch []int) map[string]int {
	t.Helper()
	classes := map[int]int{}
	for _, image := range batch {
		classes[d.Labels[image]]++
	}
	groups := map[string]int{}
	for class, images := range classes {
		if images != 2 {
			t.Fatalf("class %s comes %d times, expected twice", d.Classes[class], images)
		}
		groups[datasets.GroupOf(d.Classes[class])]++
	}
	return groups
}

// A batch has as much of one group as there is, and then of another.
func TestGroupBatches(t *testing.T) {
	d := alphabets(6, 3, 1)
	sampler, err := datasets.NewGroupBatches(d, 4, 2)
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]int{}
	const n = 3000
	for i := range n {
		groups := counts(t, d, sampler.Batch(random.New(uint64(i))))
		switch {
		case groups["A"] == 4:
			first["A"]++
		case groups["B"] == 3 && groups["A"]+groups["C"] == 1:
			first["B"]++
		case groups["C"] == 1 && groups["A"]+groups["B"] == 3:
			first["C"]++
		default:
			t.Fatalf("found %v", groups)
		}
	}
	// Groups come first in proportion to their sizes, 6 : 3 : 1; a group that
	// fills up looks like one that begins where C and A or B meet.
	if share := float64(first["A"]) / n; math.Abs(share-0.6) > 0.03 {
		t.Errorf("the largest group begins %v of the batches, expected 0.6", share)
	}
}

func TestGroupBatchesRefuse(t *testing.T) {
	_, err := datasets.NewGroupBatches(alphabets(2, 1), 4, 2)
	expectError(t, "too few classes", err, datasets.ErrTooFew, "4 classes x 2 images")
}
