package datasets

import (
	"io"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
)

// PairList is pairs that somebody listed, of the images of an unlabelled dataset.
//
// It is read from a CSV file with the columns a and b, the paths of the images
// from the file's folder, and different, 0 or false for one class and 1 or true
// for two. A column split (train, val or test) may assign each pair to a part;
// without it all are for training:
//
//	a,b,different
//	ann/1.png,ann/2.png,0
//	ann/1.png,bob/1.png,1
//
// Rows that contradict one another, repeat one another, or are both trained and
// tested on are used as they are, and reported in Splits.Warnings.
type PairList struct {
	Dataset *Dataset
	Pairs   []Pair
}

// TripletList is triplets that somebody listed, of the images of an unlabelled
// dataset. Its CSV file has the columns anchor, positive and negative, and perhaps
// split; see PairList.
type TripletList struct {
	Dataset  *Dataset
	Triplets []Triplet
}

// openTuples reads the folder's CSV file of listed pairs or triplets. CSV files
// with other headers are taken for something else, unless there is nothing else.
func openTuples(dir folder, o Options) (Splits, bool, error) {
	var lists []string
	for _, name := range dir.files {
		if !strings.EqualFold(filepath.Ext(name), ".csv") {
			continue
		}
		listed, err := isTupleFile(dir.join(name))
		if err != nil {
			return Splits{}, true, err
		}
		if listed || len(dir.names()) == 1 {
			lists = append(lists, name)
		}
	}
	if len(lists) == 0 {
		return Splits{}, false, nil
	}
	if len(lists) > 1 {
		return Splits{}, true, errors.Errorf("found %d lists of tuples (%s): open the one you mean by its path", len(lists), listing(lists))
	}
	t, err := readTuples(dir.join(lists[0]))
	if err != nil {
		return Splits{}, true, err
	}
	splits, err := t.split(o)
	splits.Warnings = t.warnings()
	return splits, true, err
}

// split loads the images and gives each part its tuples, with a dataset of the
// images that they need.
func (t *tuples) split(o Options) (Splits, error) {
	o.SkipBroken = false // every image is wanted
	all := &Dataset{Sources: t.sources}
	_, err := all.load(o, func(i int) (io.ReadCloser, error) {
		file, err := openFile(t.sources[i])
		return file, errors.Wrap(err, t.places[i])
	})
	if err != nil {
		return Splits{}, err
	}
	var splits Splits
	for _, part := range []struct {
		name     string
		pairs    **PairList
		triplets **TripletList
	}{
		{"train", &splits.Pairs.Train, &splits.Triplets.Train},
		{"validation", &splits.Pairs.Validation, &splits.Triplets.Validation},
		{"test", &splits.Pairs.Test, &splits.Triplets.Test},
	} {
		var used []int
		position := map[int]int{} // of an image of all, among the used ones
		var pairs []Pair
		var triplets []Triplet
		for _, row := range t.rows {
			if row.part != part.name {
				continue
			}
			for _, image := range row.images {
				if _, found := position[image]; !found {
					position[image] = len(used)
					used = append(used, image)
				}
			}
			first, second := position[row.images[0]], position[row.images[1]]
			if len(row.images) == 3 {
				triplets = append(triplets, Triplet{Anchor: first, Positive: second, Negative: position[row.images[2]]})
			} else {
				pairs = append(pairs, Pair{Left: first, Right: second, Different: row.different})
			}
		}
		d := all.Subset(used)
		d.Name = part.name
		if len(pairs) > 0 {
			*part.pairs = &PairList{Dataset: d, Pairs: pairs}
		}
		if len(triplets) > 0 {
			*part.triplets = &TripletList{Dataset: d, Triplets: triplets}
		}
	}
	return splits, nil
}
