package evaluate

import (
	"bufio"
	"encoding/binary"
	"encoding/csv"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// Table has labeled embeddings from a file.
type Table struct {
	Labeled
	Classes []string // the names of the classes, in ascending order; Labels are indices into it
	Sources []string // source of each row, such as the path of an image; nil if unknown
}

// errNoReader is the error of a nil reader.
var errNoReader = errors.New("found no reader, expected one")

// NewTable returns embeddings with the name of the class of each row.
func NewTable(embeddings Embeddings, names []string) (*Table, error) {
	if len(names) != embeddings.Rows {
		return nil, errors.Errorf("found %d embeddings and %d labels, expected one label for each", embeddings.Rows, len(names))
	}
	t := &Table{Labeled: Labeled{Embeddings: embeddings, Labels: make([]int, len(names))}}
	t.Classes = slices.Compact(slices.Sorted(slices.Values(names)))
	for i, name := range names {
		t.Labels[i], _ = slices.BinarySearch(t.Classes, name)
	}
	return t, t.check()
}

// ReadFile reads labeled embeddings from a .csv or a .npy file, as `likeness embed` and
// NumPy write them. labels is the path of a text file with the class name of each row,
// one per line. It may be empty for a CSV file that has the labels itself; see ReadCSV.
func ReadFile(file, labels string) (*Table, error) {
	t, err := readFile(file, labels)
	return t, errors.Wrapf(err, "read embeddings from %s", file)
}

func readFile(file, labels string) (*Table, error) {
	extension := strings.ToLower(filepath.Ext(file))
	if extension != ".csv" && extension != ".npy" {
		return nil, errors.Errorf("found a file that ends in %q, expected .csv or .npy", extension)
	}
	if extension == ".npy" && labels == "" {
		return nil, errors.New("a .npy file has no labels: give a text file with one label a line (--labels), or write the embeddings as .csv")
	}
	opened, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	if labels == "" {
		return ReadCSV(opened)
	}
	names, err := readLabels(labels)
	if err != nil {
		return nil, err
	}
	if extension == ".npy" {
		embeddings, err := ReadNpy(opened)
		if err != nil {
			return nil, err
		}
		return NewTable(embeddings, names)
	}
	embeddings, columns, err := readCSV(opened)
	if err != nil {
		return nil, err
	}
	t, err := NewTable(embeddings, names)
	if err == nil {
		t.Sources = columns["file"]
	}
	return t, err
}

func readLabels(file string) ([]string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	names := strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(content), "\r\n", "\n"), "\n"), "\n")
	for i, name := range names {
		if strings.TrimSpace(name) == "" {
			return nil, errors.Errorf("labels %s: line %d is empty, expected the name of a class", file, i+1)
		}
	}
	return names, nil
}

// ReadCSV reads labeled embeddings from a table with a header. The columns label and
// file, at any position, are text, and all others are the elements of the embeddings, in
// their order. If most of these are numbered, such as 0, 1, 2 or x0, x1, x2, a column that
// is not, such as id, is an error. The class of a row is its label; without a column label it is the folder
// that contains the file, such as cat for photos/cat/1.png.
func ReadCSV(r io.Reader) (*Table, error) {
	if r == nil {
		return nil, errNoReader
	}
	embeddings, columns, err := readCSV(r)
	if err != nil {
		return nil, err
	}
	names := columns["label"]
	if names == nil {
		for _, file := range columns["file"] {
			folder := path.Base(path.Dir(filepath.ToSlash(file)))
			if folder == "." || folder == "/" {
				return nil, errors.Errorf("the file %q is in no folder that could name its class: add a column label, or give a file of labels", file)
			}
			names = append(names, folder)
		}
	}
	if names == nil {
		return nil, errors.New("found neither a column label nor a column file in the header: add one, or give a file of labels")
	}
	for i, name := range names {
		if name == "" {
			return nil, errors.Errorf("row %d: the label is empty, expected the name of a class", i+1)
		}
	}
	t, err := NewTable(embeddings, names)
	if err == nil {
		t.Sources = columns["file"]
	}
	return t, err
}

// checkNumbered refuses columns, such as id, beside a majority of numbered ones: they are
// not elements of embeddings, but would change every distance.
func checkNumbered(header []string, texts map[int]string) error {
	names := map[string][]string{} // of columns by their name without the number; those without a number by ""
	most := ""
	for i, name := range header {
		if _, text := texts[i]; text {
			continue
		}
		name = strings.TrimSpace(name)
		series := strings.TrimRight(name, "0123456789")
		if series == name {
			series = ""
		} else {
			series += "#"
		}
		if names[series] = append(names[series], name); series != "" && (most == "" || len(names[series]) > len(names[most])) {
			most = series
		}
	}
	for series, others := range names {
		if series != most && 2*len(names[most]) > len(header)-len(texts) {
			return errors.Errorf("the header has the column %q beside the embedding's elements %s: remove it, or name it label or file if it is that; a file without a header needs one", others[0], strings.Join(names[most][:min(2, len(names[most]))], ", ")+", …")
		}
	}
	return nil
}

// readCSV reads the embeddings and the columns of text by their names.
func readCSV(r io.Reader) (Embeddings, map[string][]string, error) {
	table := csv.NewReader(r)
	table.ReuseRecord = true
	header, err := table.Read()
	if err != nil {
		return Embeddings{}, nil, errors.Wrap(err, "header")
	}
	texts, columns := map[int]string{}, map[string][]string{}
	for i, name := range header {
		if name = strings.TrimPrefix(name, "\ufeff"); name == "label" || name == "file" {
			if columns[name] != nil {
				return Embeddings{}, nil, errors.Errorf("the header has two columns %s", name)
			}
			texts[i], columns[name] = name, []string{}
		}
	}
	if err := checkNumbered(header, texts); err != nil {
		return Embeddings{}, nil, err
	}
	embeddings := Embeddings{Columns: len(header) - len(texts)}
	if embeddings.Columns < 1 {
		return Embeddings{}, nil, errors.Errorf("the header %q has no columns of numbers, expected those of the embeddings beside label and file", strings.Join(header, ","))
	}
	for {
		record, err := table.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return Embeddings{}, nil, err
		}
		embeddings.Rows++
		for i, field := range record {
			if name, text := texts[i]; text {
				columns[name] = append(columns[name], strings.Clone(field))
				continue
			}
			value, err := strconv.ParseFloat(strings.TrimSpace(field), 32)
			if err != nil {
				line, _ := table.FieldPos(i)
				return Embeddings{}, nil, errors.Errorf("line %d, column %d: found %.40q, expected a number (columns are separated by commas, the first line has their names, and only the columns label and file are text)", line, i+1, field)
			}
			embeddings.Data = append(embeddings.Data, float32(value))
		}
	}
	if embeddings.Rows == 0 {
		return Embeddings{}, nil, errors.New("found a header and no rows, expected one row for each embedding")
	}
	return embeddings, columns, embeddings.check()
}

// The header of a .npy file is a Python dictionary.
var (
	npyDescr   = regexp.MustCompile(`'descr'\s*:\s*'([^']*)'`)
	npyFortran = regexp.MustCompile(`'fortran_order'\s*:\s*(True|False)`)
	npyShape   = regexp.MustCompile(`'shape'\s*:\s*\(\s*(\d+)\s*,\s*(\d+)\s*,?\s*\)`)
)

// maxNpyHeader is far more than the header of any array of two dimensions needs.
const maxNpyHeader = 1 << 16

// ReadNpy reads an array of the shape (embeddings, features), of little-endian
// float32 or float64 in C order, from a file of NumPy's formats 1.0 to 3.0
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
func ReadNpy(r io.Reader) (Embeddings, error) {
	if r == nil {
		return Embeddings{}, errNoReader
	}
	in := bufio.NewReader(r)
	var preamble [8]byte
	if _, err := io.ReadFull(in, preamble[:]); err != nil || string(preamble[:6]) != "\x93NUMPY" {
		return Embeddings{}, errors.New("found no NumPy array, expected a file that numpy.save or likeness embed wrote")
	}
	size := make([]byte, 2)
	if preamble[6] > 1 {
		size = make([]byte, 4)
	}
	if _, err := io.ReadFull(in, size); err != nil {
		return Embeddings{}, errors.New("the header is cut off")
	}
	length := uint32(binary.LittleEndian.Uint16(size))
	if len(size) == 4 {
		length = binary.LittleEndian.Uint32(size)
	}
	if length > maxNpyHeader {
		return Embeddings{}, errors.Errorf("found a header of %d bytes, expected at most %d", length, maxNpyHeader)
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(in, header); err != nil {
		return Embeddings{}, errors.New("the header is cut off")
	}
	descr, fortran, shape := npyDescr.FindSubmatch(header), npyFortran.FindSubmatch(header), npyShape.FindSubmatch(header)
	switch {
	case descr == nil || string(descr[1]) != "<f4" && string(descr[1]) != "<f8":
		return Embeddings{}, errors.Errorf("found the header %.80q, expected elements '<f4' or '<f8': convert them by array.astype(\"float32\")", header)
	case fortran == nil || string(fortran[1]) != "False":
		return Embeddings{}, errors.New("found an array in Fortran order, expected C order: write numpy.ascontiguousarray(array)")
	case shape == nil:
		return Embeddings{}, errors.Errorf("found the header %.80q, expected a shape (embeddings, features)", header)
	}
	rows, rowsErr := strconv.Atoi(string(shape[1]))
	columns, columnsErr := strconv.Atoi(string(shape[2]))
	if rowsErr != nil || columnsErr != nil || rows < 1 || columns < 1 || rows > math.MaxInt/8/columns {
		return Embeddings{}, errors.Errorf("found the shape (%s, %s), expected at least one embedding of one feature, and no more than fit into memory", shape[1], shape[2])
	}
	width := 4
	if string(descr[1]) == "<f8" {
		width = 8
	}
	// Memory grows with the content, not with the size in the header.
	data := make([]float32, 0, min(rows*columns, 1<<16))
	block := make([]byte, width*4096)
	for read := 0; read < rows*columns; {
		part := block[:width*min(4096, rows*columns-read)]
		if _, err := io.ReadFull(in, part); err != nil {
			return Embeddings{}, errors.Errorf("the array ends after %d of %d elements", len(data), rows*columns)
		}
		for ; len(part) > 0; part = part[width:] {
			if width == 4 {
				data = append(data, math.Float32frombits(binary.LittleEndian.Uint32(part)))
			} else {
				data = append(data, float32(math.Float64frombits(binary.LittleEndian.Uint64(part))))
			}
		}
		read = len(data)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		return Embeddings{}, errors.Errorf("found more than the %d elements of the shape (%d, %d)", rows*columns, rows, columns)
	}
	embeddings := Embeddings{Rows: rows, Columns: columns, Data: data}
	return embeddings, embeddings.check()
}
