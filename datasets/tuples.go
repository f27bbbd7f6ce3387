package datasets

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// PairList is a given list of pairs of the images of an unlabeled dataset.
//
// It is read from a CSV file with the columns a and b, the paths of the images relative
// to the file's folder, and different, which is 0 or false if the classes are the same
// and 1 or true if they differ. An optional column split (train, val or test) assigns
// each pair to a part; without it all pairs are for training:
//
//	a,b,different
//	ann/1.png,ann/2.png,0
//	ann/1.png,bob/1.png,1
//
// Rows that contradict or repeat each other, or that are in both training and test data,
// are used as they are and reported in Splits.Warnings.
type PairList struct {
	Dataset *Dataset
	Pairs   []Pair
}

// TripletList is a given list of triplets of the images of an unlabeled dataset. Its CSV
// file has the columns anchor, positive and negative, and perhaps split; see PairList.
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

var (
	pairColumns    = []string{"a", "b", "different"}
	tripletColumns = []string{"anchor", "positive", "negative"}
)

// tuple is one row: two images and whether they differ, or three images.
type tuple struct {
	images    []int
	different bool
	part      string
	line      int // of the file
}

// tuples is a CSV file: its rows, and the images that they name, each once.
type tuples struct {
	path    string
	columns []string // the file's, in its order
	rows    []tuple
	sources []string
	places  []string // where in the file each source is first named
	index   map[string]int
}

func isTupleFile(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	// A line may be as long as a file that is something else.
	start, err := io.ReadAll(io.LimitReader(file, mostHeader))
	if err != nil {
		return false, errors.Wrapf(err, "read %s", path)
	}
	header, err := csv.NewReader(bytes.NewReader(withNewlines(start))).Read()
	return err == nil && columnsOf(header) != nil, nil
}

// mostHeader is how many bytes a header has at most, with what may be quoted in it.
const mostHeader = 1 << 12

// withNewlines ends lines by \n where they end by \r alone, as old programs for
// spreadsheets write them.
func withNewlines(data []byte) []byte {
	if bytes.IndexByte(data, '\n') >= 0 {
		return data
	}
	return bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
}

// columnsOf returns the columns that make the header one of pairs or of triplets;
// nil for another header.
func columnsOf(header []string) []string {
	for _, columns := range [][]string{pairColumns, tripletColumns} {
		if len(intersection(columns, clean(header))) == len(columns) {
			return columns
		}
	}
	return nil
}

// clean removes spaces, and the mark with which some programs begin a UTF-8 file.
func clean(fields []string) []string {
	result := make([]string, len(fields))
	for i, field := range fields {
		result[i] = strings.TrimSpace(strings.TrimPrefix(field, "\ufeff"))
	}
	return result
}

func readTuples(path string) (*tuples, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseTuples(data, path)
}

// parseTuples reads the content of a file; the paths in it go on from its folder.
func parseTuples(data []byte, path string) (*tuples, error) {
	reader := csv.NewReader(bytes.NewReader(withNewlines(data)))
	reader.FieldsPerRecord = -1 // they are counted below
	header, err := reader.Read()
	if err == io.EOF {
		err = errors.New("the file is empty, expected a,b,different or anchor,positive,negative, and perhaps split")
	}
	if err != nil {
		return nil, errors.Wrapf(err, "read the header of %s", path)
	}
	t := &tuples{path: path, columns: clean(header), index: map[string]int{}}
	required := columnsOf(header)
	unknown := difference(t.columns, append(slices.Clone(required), "split"))
	if _, twice := duplicate(t.columns); required == nil || len(unknown) > 0 || twice {
		return nil, errors.Errorf("%s: found the header %s, expected a,b,different or anchor,positive,negative, and perhaps split", path, quoted(strings.Join(t.columns, ",")))
	}
	for {
		fields, err := reader.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, errors.Wrapf(err, "read %s", path)
		}
		line, _ := reader.FieldPos(0)
		if len(fields) != len(t.columns) {
			return nil, errors.Errorf("%s, line %d: found %d fields, expected %d: %s", path, line, len(fields), len(t.columns), strings.Join(t.columns, ","))
		}
		row, err := t.parse(clean(fields), line)
		if err != nil {
			return nil, err
		}
		t.rows = append(t.rows, row)
	}
	if len(t.rows) == 0 {
		return nil, errors.Wrapf(ErrTooFew, "%s lists nothing", path)
	}
	return t, nil
}

func (t *tuples) parse(fields []string, line int) (tuple, error) {
	row := tuple{part: "train", line: line}
	for _, column := range slices.Concat(pairColumns, tripletColumns, []string{"split"}) {
		i := slices.Index(t.columns, column)
		if i < 0 {
			continue
		}
		value := fields[i]
		wrong := func(expected string) error {
			return errors.Errorf("%s, line %d, field %s: found %s, expected %s", t.path, line, column, quoted(value), expected)
		}
		switch column {
		case "different":
			different, err := strconv.ParseBool(value)
			if err != nil {
				return row, wrong("0, 1, true or false")
			}
			row.different = different
		case "split":
			part, known := partNames[strings.ToLower(value)]
			if !known {
				return row, wrong("train, val or test")
			}
			row.part = part
		default:
			if value == "" {
				return row, wrong("the path of an image")
			}
			row.images = append(row.images, t.image(value, line, column))
		}
	}
	return row, nil
}

// image returns the index of the image of a path, new if need be.
func (t *tuples) image(path string, line int, column string) int {
	if path = filepath.FromSlash(path); !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(t.path), path)
	}
	i, found := t.index[path]
	if !found {
		i = len(t.sources)
		t.index[path] = i
		t.sources = append(t.sources, path)
		t.places = append(t.places, t.path+", line "+strconv.Itoa(line)+", field "+column)
	}
	return i
}

// warnings say what is suspicious about the rows, though they are used as they are:
// contradictions, images that differ from themselves, repetitions, and rows to test
// on that are trained on. Images are the same where their paths are.
func (t *tuples) warnings() []string {
	var contradictory, selves, repeated []string
	trained := map[[3]int]int{} // a row of training → its line
	inPart := map[string]map[[3]int]bool{}
	said := map[[2]int][2]int{} // two images → the first lines that say same and different; 0 for none
	contradicted := map[[2]int]bool{}
	for _, row := range t.rows {
		for _, pair := range row.pairs() {
			key := [2]int{min(pair.Left, pair.Right), max(pair.Left, pair.Right)}
			if pair.Left == pair.Right && pair.Different {
				selves = append(selves, strconv.Itoa(row.line))
			}
			lines, own := said[key], 0
			if pair.Different {
				own = 1
			}
			if lines[own] == 0 {
				lines[own] = row.line
				said[key] = lines
			}
			if line := lines[1-own]; line > 0 && !contradicted[key] {
				contradicted[key] = true
				contradictory = append(contradictory, fmt.Sprintf("%d and %d", line, row.line))
			}
		}
		// A pair with another label is a contradiction, not a repetition.
		key := row.key()
		labeled := key
		if row.different {
			labeled[2] = -2
		}
		if inPart[row.part] == nil {
			inPart[row.part] = map[[3]int]bool{}
		}
		if inPart[row.part][labeled] {
			repeated = append(repeated, strconv.Itoa(row.line))
		}
		inPart[row.part][labeled] = true
		if _, before := trained[key]; row.part == "train" && !before {
			trained[key] = row.line
		}
	}
	var warnings []string
	warn := func(what string, lines []string) {
		if len(lines) > 0 {
			warnings = append(warnings, fmt.Sprintf("%s: %s: %d, on lines %s", t.path, what, len(lines), listing(lines)))
		}
	}
	warn("pairs of images that are listed both as the same and as different", contradictory)
	warn("images that are listed as different from themselves", selves)
	warn("rows that repeat an earlier one of their part, and count as often as they occur", repeated)
	for _, part := range []string{"validation", "test"} {
		var both []string
		for _, row := range t.rows {
			if line, found := trained[row.key()]; found && row.part == part {
				both = append(both, fmt.Sprintf("%d as %d", row.line, line))
			}
		}
		warn("rows of "+part+" that are in training, too, so that figures on them say nothing about new images", both)
	}
	return warnings
}

// pairs are the two images of a pair, or the two pairs of a triplet.
func (row tuple) pairs() []Pair {
	if len(row.images) == 2 {
		return []Pair{{Left: row.images[0], Right: row.images[1], Different: row.different}}
	}
	return []Pair{{Left: row.images[0], Right: row.images[1]}, {Left: row.images[0], Right: row.images[2], Different: true}}
}

// key is the same for rows of the same images; those of a pair may change places.
func (row tuple) key() [3]int {
	if len(row.images) == 2 {
		return [3]int{min(row.images[0], row.images[1]), max(row.images[0], row.images[1]), -1}
	}
	return [3]int(row.images)
}
