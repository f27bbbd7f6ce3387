package retrieval

import (
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// CheckFileName reports a path whose extension WriteFile does not know.
func CheckFileName(path string) error {
	if extension := filepath.Ext(path); extension != ".npy" && extension != ".csv" {
		return errors.Errorf("found %q, expected a file that ends in .npy or .csv", path)
	}
	return nil
}

// WriteFile writes the embeddings in the order of Files. A file that ends in .npy is a
// NumPy array of float32 of shape (images, features), for numpy.load. One that ends in
// .csv has the header file,e0,e1,… and a row for each image.
func (c *Collection) WriteFile(path string) error {
	if c == nil {
		return errors.New("write embeddings: the collection is nil")
	}
	if err := CheckFileName(path); err != nil {
		return errors.Wrap(err, "write embeddings")
	}
	if len(c.Files) != c.Embeddings.Rows {
		return errors.Errorf("write embeddings: found %d files and %d embeddings, expected as many", len(c.Files), c.Embeddings.Rows)
	}
	write := c.writeNPY
	if filepath.Ext(path) == ".csv" {
		write = c.writeCSV
	}
	return atomicfile.WriteFile(path, write)
}

// writeNPY writes the embeddings in version 1.0 of NumPy's format:
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
// The header ends with a line feed, as the format requires and Gorgonia's own writer
// leaves out.
func (c *Collection) writeNPY(w io.Writer) error {
	const preamble, alignment = 10, 64 // bytes
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", c.Embeddings.Rows, c.Embeddings.Columns)
	padding := alignment - (preamble+len(header)+1)%alignment
	header += strings.Repeat(" ", padding) + "\n"
	start := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	if _, err := w.Write(append(start, header...)); err != nil {
		return err
	}
	for i := range c.Files {
		if err := binary.Write(w, binary.LittleEndian, c.Embeddings.Row(i)); err != nil {
			return err
		}
	}
	return nil
}

// writeCSV writes a row for each file, with all digits of a float32.
func (c *Collection) writeCSV(w io.Writer) error {
	table := csv.NewWriter(w)
	row := []string{"file"}
	for i := range c.Embeddings.Columns {
		row = append(row, "e"+strconv.Itoa(i))
	}
	if err := table.Write(row); err != nil {
		return err
	}
	for i, file := range c.Files {
		row = append(row[:0], file)
		for _, v := range c.Embeddings.Row(i) {
			row = append(row, strconv.FormatFloat(float64(v), 'g', -1, 32))
		}
		if err := table.Write(row); err != nil {
			return err
		}
	}
	table.Flush()
	return table.Error()
}
