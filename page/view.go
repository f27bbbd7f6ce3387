package page

import (
	_ "embed" // the template and the style
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/likeness-go/likeness/report"
	"github.com/pkg/errors"
)

//go:embed page.html
var pageText string

//go:embed style.css
var style string

var pageTemplate = template.Must(template.New(Name).Parse(pageText))

// view is the run as the template reads it.
type view struct {
	Style    template.CSS
	Charts   map[string]template.HTML // by their names
	Title    string
	Report   report.Report
	Protocol []string
	Figures  []figure
	Trained  string // how long and how fast
	Epochs   int
	Config   string
	MadeWith [][2]string

	Validated string
	Validates bool // an epoch has a validation
	Kind      string
	Verified  *verifiedView
	Retrieved *retrievedView
	Shown     *shownView
}

// shownView is what the captions of the maps say.
type shownView struct {
	Images  int
	Classes bool
}

func (r Run) view() *view {
	v := &view{
		Style: template.CSS(style), Title: r.Title, Report: r.Report, Protocol: strings.Split(r.Report.Protocol, "; "),
		Figures: figures(r.Report), Epochs: len(r.Epochs), Config: r.Config, MadeWith: madeWith(r.Report.MadeWith),
		Trained: fmt.Sprintf("Trained %.0f s at %.0f images/s, seed %d.", r.Report.Seconds, r.Report.ImagesPerSecond, r.Report.Seed),
	}
	for _, epoch := range r.Epochs {
		v.Validates = v.Validates || epoch.Validation != nil
	}
	v.Validated = r.Validated
	if e := r.Evidence; e != nil {
		v.Kind, v.Verified, v.Retrieved = e.Kind, viewVerified(e.Verified), viewRetrieved(e.Retrieved)
		if mappable(e.Shown) {
			v.Shown = &shownView{Images: e.Shown.Images.Len(), Classes: e.Shown.Images.Labels != nil}
		}
	}
	return v
}

func (v *view) render(w io.Writer) error {
	return errors.Wrap(pageTemplate.Execute(w, v), "render")
}

// madeWith is the provenance as a table.
func madeWith(p *report.Provenance) [][2]string {
	if p == nil {
		return nil
	}
	rows := [][2]string{{"likeness", p.Likeness}}
	if p.Gorgonia != "" {
		rows = append(rows, [2]string{"Gorgonia", p.Gorgonia})
	}
	return append(rows, [][2]string{
		{"Go", p.Go}, {"system", p.System}, {"processor", fmt.Sprintf("%s, %d of its processors", p.Processor, p.Threads)},
		{"finished", p.Finished.UTC().Format(time.DateTime) + " UTC"},
	}...)
}
