package main

import (
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// writeNpy writes the vectors as NumPy's format 1.0, an array of float32 of the
// shape (vectors, features) in C order:
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
// The header ends with a line feed, as the format demands and Gorgonia's own
// writer leaves out.
func writeNpy(w io.Writer, _ []string, vectors [][]float32) error {
	const preamble, alignment = 10, 64 // bytes
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", len(vectors), len(vectors[0]))
	padding := alignment - (preamble+len(header)+1)%alignment
	header += strings.Repeat(" ", padding) + "\n"
	start := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	if _, err := w.Write(append(start, header...)); err != nil {
		return err
	}
	for _, vector := range vectors {
		if err := binary.Write(w, binary.LittleEndian, vector); err != nil {
			return err
		}
	}
	return nil
}

// writeCSV writes a row for each file, with as many digits as float32 has.
func writeCSV(w io.Writer, files []string, vectors [][]float32) error {
	table := csv.NewWriter(w)
	row := []string{"file"}
	for i := range vectors[0] {
		row = append(row, "e"+strconv.Itoa(i))
	}
	if err := table.Write(row); err != nil {
		return err
	}
	for i, vector := range vectors {
		row = append(row[:0], files[i])
		for _, v := range vector {
			row = append(row, strconv.FormatFloat(float64(v), 'g', -1, 32))
		}
		if err := table.Write(row); err != nil {
			return err
		}
	}
	table.Flush()
	return table.Error()
}
