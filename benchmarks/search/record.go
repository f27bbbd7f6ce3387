package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"image/color"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/clusters"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// addRows adds rows to search.jsonl in a folder, in place of those of the same size and
// method, and writes search.md and search.png from all rows.
func addRows(folder string, rows []row, command string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	commit, err := record.Commit()
	if err != nil {
		return err
	}
	path := filepath.Join(folder, "search.jsonl")
	all, err := readRows(path)
	if err != nil {
		return err
	}
	for _, r := range rows {
		r.Command, r.Commit, r.Processor, r.Date = command, commit, record.Machine(), time.Now().UTC().Format(time.DateOnly)
		all = slices.DeleteFunc(all, func(old row) bool { return old.key() == r.key() })
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.Head, b.Head), cmp.Compare(a.Columns, b.Columns), cmp.Compare(a.Vectors, b.Vectors), cmp.Compare(order(a.Method), order(b.Method)))
	})
	var lines bytes.Buffer
	for _, r := range all {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	for name, text := range map[string][]byte{"search.jsonl": lines.Bytes(), "search.md": []byte(document(all))} {
		err := atomicfile.WriteFile(filepath.Join(folder, name), func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
		if err != nil {
			return err
		}
	}
	all = slices.DeleteFunc(all, func(r row) bool { return r.Columns != drawnColumns || r.Head != "l2" || r.One == 0 || r.Together == 0 })
	if len(all) == 0 {
		return nil
	}
	return drawTimes(all, filepath.Join(folder, "search.png"))
}

// key identifies what was measured.
func (r row) key() string { return fmt.Sprint(r.Head, " ", r.Columns, " ", r.Vectors, " ", r.Method) }

// order is the position of a method in the table.
func order(method string) int { return slices.Index(peers, method) }

func readRows(path string) (rows []row, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var r row
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, errors.Wrapf(err, "%s, line %d", path, i+1)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// name is the method in tables and plots.
func (r row) name() string {
	switch {
	case r.Method == "likeness":
		return "likeness, exact"
	case r.Breadth == 0:
		return r.Version + ", exact"
	}
	return fmt.Sprintf("%s, HNSW, breadth %d", r.Version, r.Breadth)
}

// line returns the row of the table.
func (r row) line() string {
	together := fmt.Sprintf("%.1f", r.Together)
	if r.Together == 0 {
		together = ""
	}
	build := fmt.Sprintf("%.1f", r.Build)
	if r.Build < 0 {
		build = "–"
	}
	return fmt.Sprintf("| %d | %s | %.1f | %s | %.4f | %s | %.0f |\n", r.Vectors, r.name(), r.One, together, r.Recall, build, float64(r.Bytes)/1e6)
}

// document returns search.md.
func document(rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Exact search beside other libraries

The %d nearest of n vectors. Vectors are synthetic: groups of %d classes of %d examples; each vector is the normalized sum
of independent normal vectors for the group, %v times for the class and %v times for the example. The queries are other
examples of the same classes. *One* is the median time of single queries in µs, one after the other: exact searches use all
processors, those of a graph one. *Together* is the time of a query in µs if many are searched in one call on all
processors. All methods of a size are measured in turn, in %d rounds, in processes of their own. Graphs have 16 links and a
breadth of 100 when they are built, and are searched with the smallest breadth of %s with a recall of at least
%v, or the largest if none has that. Build is in seconds (likeness: reading the vectors from a file and compressing them), memory in MB with the vectors.
A dash is where an index was made while other programs ran.
`, neighbors, clusters.PerGroup, perClass, clusters.AmongClasses, clusters.WithinClass, rounds, strings.Trim(fmt.Sprint(breadths), "[]"), minRecall)
	title := ""
	for _, r := range rows {
		if t := fmt.Sprintf("%d elements, %s", r.Columns, r.Head); t != title {
			title = t
			fmt.Fprintf(&b, "\n## %s\n\n| n | method | one, µs | together, µs | recall@%d | build, s | memory, MB |\n|---|---|---|---|---|---|---|\n", title, neighbors)
		}
		b.WriteString(r.line())
	}
	fmt.Fprint(&b, "\n![Time of a query](search.png)\n\n*64 elements, l2. Solid: single queries; dashed: many queries in one call.*\n\n## Commands\n\n")
	var commands []string
	for _, r := range rows {
		if text := fmt.Sprintf("- `%s`, commit %s, %s, %s", r.Command, r.Commit, r.Processor, r.Date); !slices.Contains(commands, text) {
			commands = append(commands, text)
		}
	}
	fmt.Fprintln(&b, strings.Join(commands, "\n"))
	return b.String()
}

// drawnColumns is the size of the vectors in the plot.
const drawnColumns = 64

// methodColors are the colors of the methods, in the order of the table.
var methodColors = map[string]color.Color{
	"likeness": color.RGBA{200, 40, 40, 255}, "faiss-flat": color.RGBA{60, 120, 200, 255}, "faiss-hnsw": color.RGBA{40, 160, 160, 255},
	"hnswlib": color.RGBA{90, 60, 160, 255}, "usearch": color.RGBA{130, 130, 130, 255},
}

// drawTimes draws the time of a query by the number of vectors.
func drawTimes(rows []row, path string) error {
	p := plot.New()
	p.Title.Text = "Time of a query for the 10 nearest of n vectors of 64 elements"
	p.X.Label.Text, p.Y.Label.Text = "n", "µs"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	for _, method := range append([]string{"likeness"}, peers...) {
		var one, together plotter.XYs
		for _, r := range rows {
			if r.Method == method {
				one = append(one, plotter.XY{X: float64(r.Vectors), Y: r.One})
				together = append(together, plotter.XY{X: float64(r.Vectors), Y: r.Together})
			}
		}
		if one == nil {
			continue
		}
		for i, points := range []plotter.XYs{one, together} {
			line, dots, err := plotter.NewLinePoints(points)
			if err != nil {
				return errors.Wrapf(err, "draw %s", path)
			}
			line.Color, dots.Color, dots.Shape = methodColors[method], methodColors[method], draw.CircleGlyph{}
			if p.Add(line, dots); i == 0 {
				p.Legend.Add(method, line, dots)
			} else {
				line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
			}
		}
	}
	p.Legend.Left, p.Legend.Top = true, true
	image, err := p.WriterTo(8*vg.Inch, 5*vg.Inch, "png")
	if err != nil {
		return errors.Wrapf(err, "draw %s", path)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := image.WriteTo(w)
		return err
	})
}
