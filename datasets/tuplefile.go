package datasets

import (
	"bytes"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

var (
	pairColumns    = []string{"a", "b", "different"}
	tripletColumns = []string{"anchor", "positive", "negative"}
)

// tuple is one row: two images and whether they differ, or three images.
type tuple struct {
	images    []int
	different bool
	part      string
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
	header, err := csv.NewReader(file).Read()
	return err == nil && columnsOf(header) != nil, nil
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
	reader := csv.NewReader(bytes.NewReader(data))
	header, err := reader.Read()
	if err != nil {
		return nil, errors.Wrapf(err, "read the header of %s", path)
	}
	t := &tuples{path: path, columns: clean(header), index: map[string]int{}}
	required := columnsOf(header)
	unknown := difference(t.columns, append(slices.Clone(required), "split"))
	if _, twice := duplicate(t.columns); required == nil || len(unknown) > 0 || twice {
		return nil, errors.Errorf("%s: found the header %q, expected a,b,different or anchor,positive,negative, and perhaps split", path, strings.Join(t.columns, ","))
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
	row := tuple{part: "train"}
	for _, column := range slices.Concat(pairColumns, tripletColumns, []string{"split"}) {
		i := slices.Index(t.columns, column)
		if i < 0 {
			continue
		}
		value := fields[i]
		wrong := func(expected string) error {
			return errors.Errorf("%s, line %d, field %s: found %q, expected %s", t.path, line, column, value, expected)
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
