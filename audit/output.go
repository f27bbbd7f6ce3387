package audit

import (
	"encoding/csv"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/pkg/errors"
)

// The names of the files that Result.Write writes.
const (
	LabelsFile   = "labels.csv"
	OutliersFile = "outliers.csv"
	SheetFile    = "suspicious.png"
)

// MaxSheet is the largest number of images of each kind on a contact sheet.
const MaxSheet = plot.MaxCells / 2

var errNil = errors.New("found a result that is nil, expected one of Embeddings or Folder")

// File returns the file of a finding; without Files "row N", the number of its embedding.
func (r *Result) File(f Finding) string {
	if r != nil && f.Row >= 0 && f.Row < len(r.Files) {
		return r.Files[f.Row]
	}
	return fmt.Sprintf("row %d", f.Row)
}

// Class returns the name of a label; without Classes its number.
func (r *Result) Class(label int) string {
	if r != nil && label >= 0 && label < len(r.Classes) {
		return r.Classes[label]
	}
	return strconv.Itoa(label)
}

// WriteLabels writes the findings of Labels as CSV, in their order, with the header
// file,label,suggested,score,confidence,margin,issue,outlier.
func (r *Result) WriteLabels(w io.Writer) error {
	if r == nil {
		return errNil
	}
	return r.write(w, r.Labels)
}

// WriteOutliers writes the findings of Outliers as CSV, in their order, with the header of
// WriteLabels.
func (r *Result) WriteOutliers(w io.Writer) error {
	if r == nil {
		return errNil
	}
	return r.write(w, r.Outliers)
}

func (r *Result) write(w io.Writer, findings []Finding) error {
	if w == nil {
		return errors.New("found no writer, expected one")
	}
	table := csv.NewWriter(w)
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
	rows := [][]string{{"file", "label", "suggested", "score", "confidence", "margin", "issue", "outlier"}}
	for _, f := range findings {
		rows = append(rows, []string{
			r.File(f), r.Class(f.Label), r.Class(f.Suggested), number(f.Score), number(f.Confidence), number(f.Margin), strconv.FormatBool(f.Issue), number(f.Outlier),
		})
	}
	return errors.WithStack(table.WriteAll(rows))
}

// WriteSheet writes a PNG file with the given number of images with the most suspicious
// labels, of those that are counted as errors, and of outliers, from 1 to MaxSheet of each kind. Files must be those of Folder.
func (r *Result) WriteSheet(path string, each int) error {
	if r == nil {
		return errNil
	}
	if len(r.Files) == 0 {
		return errors.New("draw a sheet: found no files, expected the result of Folder")
	}
	if each < 1 || each > MaxSheet {
		return errors.Errorf("draw a sheet: found %d images of each kind, expected 1 to %d", each, MaxSheet)
	}
	labels := plot.Row{Title: fmt.Sprintf("label errors by confident learning, %d of %d images", r.Issues, len(r.Labels))}
	for _, f := range r.Issued(each) {
		labels.Cells = append(labels.Cells, r.cell(f, r.Class(f.Label)+" → "+r.Class(f.Suggested), fmt.Sprintf("score %.4f", f.Score)))
	}
	outliers := plot.Row{Title: "outliers"}
	for _, f := range r.Outliers[:min(each, len(r.Outliers))] {
		outliers.Cells = append(outliers.Cells, r.cell(f, r.Class(f.Label), fmt.Sprintf("distance %.4f", f.Outlier)))
	}
	return plot.WriteSheet(path, []plot.Row{labels, outliers}, imaging.DecodeFile)
}

// Issued returns the first findings of Labels that are counted as label errors, at most n of
// them, the most suspicious first.
func (r *Result) Issued(n int) (issued []Finding) {
	if r == nil {
		return nil
	}
	for _, f := range r.Labels {
		if f.Issue && len(issued) < n {
			issued = append(issued, f)
		}
	}
	return issued
}

func (r *Result) cell(f Finding, captions ...string) plot.Cell {
	cell := plot.Cell{File: r.File(f)}
	cell.Captions[0] = filepath.Base(cell.File)
	copy(cell.Captions[1:], captions)
	return cell
}

// Write writes labels.csv, outliers.csv and suspicious.png to a folder, which must exist. The sheet
// has the given number of images of each kind; see WriteSheet.
func (r *Result) Write(folder string, each int) error {
	if folder == "" {
		return errors.New("found an empty name of a folder, expected one to write to")
	}
	if r == nil {
		return errNil
	}
	for _, file := range []struct {
		name  string
		write func(w io.Writer) error
	}{{LabelsFile, r.WriteLabels}, {OutliersFile, r.WriteOutliers}} {
		if err := atomicfile.WriteFile(filepath.Join(folder, file.name), file.write); err != nil {
			return err
		}
	}
	return r.WriteSheet(filepath.Join(folder, SheetFile), each)
}
