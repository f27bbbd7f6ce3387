package page

import (
	"html/template"
	"io"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// Run is what a training left behind. What is empty or nil is left out of the
// page, which says so.
type Run struct {
	Title     string // what was trained, in a line
	Report    report.Report
	Evidence  *report.Evidence // nil where nothing was measured
	Epochs    []trainer.Epoch
	Validated string // what Epoch.Validation measures; empty if nothing
	Config    string // config.toml, all settings
}

// Name is the page's file in a folder.
const Name = "report.html"

// Write writes report.html into the folder and, into its folder plots, the
// charts: loss.png, roc.png, distances.png, map-pca.png and map-tsne.png, as far
// as the run has them. Each file is written whole or not at all. One run gives
// one page, to the bit.
func (r Run) Write(folder string) error {
	return errors.Wrapf(r.write(folder), "write %s", filepath.Join(folder, Name))
}

func (r Run) write(folder string) (err error) {
	defer func() { // the drawing library panics where it cannot draw
		if cause := recover(); cause != nil {
			err = errors.Errorf("draw the charts: %v", cause)
		}
	}()
	charts, err := r.charts()
	if err != nil {
		return err
	}
	v := r.view()
	if len(charts) > 0 {
		if err := os.MkdirAll(filepath.Join(folder, "plots"), 0o777); err != nil {
			return errors.WithStack(err)
		}
	}
	v.Charts = map[string]template.HTML{}
	for _, c := range charts {
		if v.Charts[c.name], err = c.svg(); err != nil {
			return err
		}
		if err := atomicfile.WriteFile(filepath.Join(folder, "plots", c.name+".png"), c.png); err != nil {
			return err
		}
	}
	return atomicfile.WriteFile(filepath.Join(folder, Name), func(w io.Writer) error { return v.render(w) })
}

// charts are those that the run has the numbers for.
func (r Run) charts() (charts []chart, err error) {
	add := func(c chart, failure error) {
		charts = append(charts, c)
		if err == nil {
			err = errors.Wrap(failure, c.name)
		}
	}
	if len(r.Epochs) > 0 {
		add(learningCurves(r.Epochs))
	}
	if e := r.Evidence; e != nil {
		if e.Verified != nil {
			add(roc(e.Verified))
			add(distances(e.Verified))
		}
		if mappable(e.Shown) {
			add(principalMap(e.Shown, r.Report.Seed))
			add(neighbourMap(e.Shown, r.Report.Seed))
		}
	}
	return charts, err
}
