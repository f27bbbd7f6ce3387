package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Report is what result.json holds.
type Report struct {
	Dataset         string            `json:"dataset"`
	Protocol        string            `json:"protocol"`
	Seed            uint64            `json:"seed"`
	Seconds         float64           `json:"seconds"` // of training
	ImagesPerSecond float64           `json:"images_per_second"`
	Stopped         string            `json:"stopped,omitempty"`   // why training ended before its last epoch
	Threshold       *float64          `json:"threshold,omitempty"` // chosen on validation pairs
	Metrics         map[string]Figure `json:"metrics"`
	Published       []Published       `json:"published,omitempty"` // results of others on the same trials
	MadeWith        *Provenance       `json:"made_with,omitempty"` // nil where it is not known
}

// Published is a result of others, from the literature, on the trials of a metric.
type Published struct {
	Metric  string  `json:"metric"`            // the key in Report.Metrics
	Name    string  `json:"name"`              // whose result it is
	Value   float64 `json:"value"`             // as a fraction
	Trained string  `json:"trained,omitempty"` // on what, if that is not the same
}

// String is the result in percent.
func (p Published) String() string {
	text := fmt.Sprintf("%s %.1f", p.Name, 100*p.Value)
	if p.Trained != "" {
		text += " (" + p.Trained + ")"
	}
	return text
}

// PublishedFor lists the published results of a metric; empty if there are none.
func (r Report) PublishedFor(metric string) string {
	var all []string
	for _, p := range r.Published {
		if p.Metric == metric {
			all = append(all, p.String())
		}
	}
	return strings.Join(all, ", ")
}

// Row is a figure in the table, with what it is called in Metrics and in words.
type Row struct {
	Name, Title string
	Figure
}

// titles are the figures in the order of the table.
var titles = []struct{ name, title string }{
	{knnAccuracy, "nearest neighbour, seen classes"},
	{verificationAUC, "verification, ROC AUC"},
	{verificationEER, "verification, equal error rate"},
	{verificationAccuracy, "verification, accuracy"},
	{oneShotAccuracy, "one-shot accuracy"},
	{recallAt1, "recall@1"},
	{mapAtR, "MAP@R"},
}

// Rows are the figures that there are, in the order of the table.
func (r Report) Rows() []Row {
	var rows []Row
	for _, figure := range titles {
		if f, ok := r.Metrics[figure.name]; ok {
			rows = append(rows, Row{figure.name, figure.title, f})
		}
	}
	return rows
}

// WriteTable writes the figures in percent, one a line, published ones, and the protocol. What would
// forge a line in the names of the data set and of classes is escaped.
func (r Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-33s %8s  %-17s %9s %7s\n", wording.Printable(r.Dataset), "trained", "95 % interval", "untrained", "pixels")
	for _, row := range r.Rows() {
		fmt.Fprintf(&b, "%-33s %8.2f  [%6.2f, %6.2f]  %9.2f %7.2f\n", row.Title, 100*row.Value, 100*row.Low, 100*row.High, 100*row.Untrained, 100*row.Pixels)
	}
	for _, figure := range titles {
		if published := r.PublishedFor(figure.name); published != "" {
			fmt.Fprintf(&b, "published, %s: %s\n", figure.title, wording.Printable(published))
		}
	}
	fmt.Fprintf(&b, "\nseed %d, trained %.0f s at %.0f images/s\nprotocol: %s\n", r.Seed, r.Seconds, r.ImagesPerSecond, wording.Printable(r.Protocol))
	_, err := io.WriteString(w, b.String())
	return err
}

// Save writes the report as JSON, whole or not at all. A figure that is no
// finite number is an error: JSON has none.
func (r Report) Save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return errors.Wrapf(err, "save report %s", path)
	}
	return errors.Wrapf(atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	}), "save report %s", path)
}

// Load reads a report that Save wrote.
func Load(path string) (Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Report{}, errors.Wrap(err, "load report")
	}
	r, err := parse(text)
	return r, errors.Wrapf(err, "load report %s", path)
}

func parse(text []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return Report{}, err
	}
	return r, nil
}
