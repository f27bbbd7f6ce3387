package report

import (
	"context"
	_ "embed" // the template and the style
	"fmt"
	"html/template"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// Page holds the results of a training run. Fields that are empty or nil are omitted from
// report.html, which states what is missing.
type Page struct {
	Title     string // a one-line description of the training
	Report    Report
	Evidence  *Evidence // nil if nothing was measured
	Epochs    []trainer.Epoch
	Validated string // what Epoch.Validation measures; empty without validation
	Config    string // the contents of config.toml, with all settings
}

// PageFile is the name of the page in a run folder.
const PageFile = "report.html"

// Write writes report.html to the folder and the charts to its subfolder plots:
// loss.png, roc.png, distances.png, map-pca.png, map-tsne.png and map-clusters.png, without those for
// which the run has no data. Each file is written atomically. Equal runs give
// files that are equal byte for byte.
func (r Page) Write(folder string) error {
	return errors.Wrapf(r.write(folder), "write %s", filepath.Join(folder, PageFile))
}

func (r Page) write(folder string) (err error) {
	defer recoverDrawing(&err)
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
	drawn := make([]template.HTML, len(charts))
	err = parallel.Each(context.Background(), 0, len(charts), func(i int) (err error) {
		defer recoverDrawing(&err)
		drawn[i] = charts[i].svg()
		return atomicfile.WriteFile(filepath.Join(folder, "plots", charts[i].name+".png"), charts[i].png)
	})
	if err != nil {
		return err
	}
	v.Charts = map[string]template.HTML{}
	for i, c := range charts {
		v.Charts[c.name] = drawn[i]
	}
	return atomicfile.WriteFile(filepath.Join(folder, PageFile), func(w io.Writer) error { return v.render(w) })
}

// recoverDrawing makes an error of a panic.
func recoverDrawing(err *error) {
	if cause := recover(); cause != nil {
		*err = errors.Errorf("draw the charts: %v", cause)
	}
}

// charts returns the charts for which the run has data.
func (r Page) charts() (charts []chart, _ error) {
	if len(r.Epochs) > 0 {
		charts = append(charts, learningCurves(r.Epochs))
	}
	if e := r.Evidence; e != nil {
		if e.Verification != nil {
			charts = append(charts, roc(e.Verification), distances(e.Verification))
		}
		if mappable(e.Map) {
			components, err := principalMap(e.Map, r.Report.Seed)
			if err != nil {
				return charts, errors.Wrap(err, components.name)
			}
			maps, err := tsneMaps(e.Map, r.Report.Seed)
			if err != nil {
				return charts, err
			}
			charts = append(append(charts, components), maps...)
		}
	}
	return charts, nil
}

//go:embed page.html
var pageText string

//go:embed style.css
var style string

var pageTemplate = template.Must(template.New(PageFile).Parse(pageText))

// view is the data that the template reads.
type view struct {
	Style    template.CSS
	Charts   map[string]template.HTML // by their names
	Title    string
	Report   Report
	Protocol []string
	Figures  []figureRow
	Trained  string // duration and speed of training
	Epochs   int
	Config   string
	MadeWith [][2]string

	Pretrained bool // whether the figures have those of a model before fine-tuning
	Validated  string
	Validates  bool // whether any epoch has a validation
	Kind       string
	Verified   *verifiedView
	Retrieved  *retrievedView
	Shown      *shownView
}

// shownView is the data of the maps' captions.
type shownView struct {
	Images   int
	Classes  bool
	Clusters int    // 0 without labels
	Purity   string // in percent
}

func (r Page) view() *view {
	v := &view{
		Style: template.CSS(style), Title: r.Title, Report: r.Report, Protocol: strings.Split(r.Report.Protocol, "; "),
		Figures: figureRows(r.Report), Pretrained: r.Report.pretrained(), Epochs: len(r.Epochs), Config: r.Config, MadeWith: madeWith(r.Report.MadeWith),
		Trained: fmt.Sprintf("Trained %.0f s at %.0f images/s, seed %d.", r.Report.Seconds, r.Report.ImagesPerSecond, r.Report.Seed),
	}
	for _, epoch := range r.Epochs {
		v.Validates = v.Validates || epoch.Validation != nil
	}
	v.Validated = r.Validated
	if i := r.Report.Interpolation; i != nil {
		v.Protocol = append(v.Protocol, i.String())
	}
	if e := r.Evidence; e != nil {
		v.Kind, v.Verified, v.Retrieved = e.Kind, viewVerified(e.Verification), viewRetrieved(e.Retrieval)
		if mappable(e.Map) {
			v.Shown = &shownView{Images: e.Map.Images.Len(), Classes: e.Map.Images.Labels != nil}
			if c := e.Map.Clustering; c != nil {
				v.Shown.Clusters, v.Shown.Purity = c.Clusters, percent(c.Purity.Value)
			}
		}
	}
	return v
}

func (v *view) render(w io.Writer) error {
	return errors.Wrap(pageTemplate.Execute(w, v), "render")
}

// madeWith returns the provenance as the rows of a table.
func madeWith(p *Provenance) [][2]string {
	if p == nil {
		return nil
	}
	rows := [][2]string{{"likeness", p.Likeness}}
	if p.Gorgonia != "" {
		rows = append(rows, [2]string{"Gorgonia", p.Gorgonia})
	}
	return append(rows, [][2]string{
		{"Go", p.Go}, {"system", p.System}, {"processor", fmt.Sprintf("%s, %d threads", p.Processor, p.Threads)},
		{"finished", p.Finished.UTC().Format(time.DateTime) + " UTC"},
	}...)
}

// figureRow is a row of the table of figures, in percent.
type figureRow struct {
	Title, Note, Meaning                       string
	Trained, Interval, Untrained, Pixels, Gain string
	Pretrained                                 string // empty without a model before fine-tuning
	Verdict                                    string // the conclusion from the gain's interval
}

// meanings explains each figure, by its name in the report.
var meanings = map[string]string{
	"knn_accuracy":          "The share of test images of the training classes whose nearest training image is of the same class.",
	"verification_auc":      "The area under the ROC curve: the probability that a random pair of one class is closer together than a random pair of two classes. Chance is 50.",
	"verification_eer":      "The error rate at the threshold at which false accepts and false rejects are equally frequent. Smaller is better; chance is 50.",
	"verification_accuracy": "The share of pairs that are classified correctly at a threshold that was chosen on other pairs.",
	"oneshot_accuracy":      "Given one example image of each of several classes, the share of query images that are nearest to the example of their own class.",
	"recall_at_1":           "The share of images whose nearest other image is of the same class.",
	"precision_at_5":        "The share of images of the same class among the five nearest other images. Classes with fewer than five others cannot reach 100.",
	"mrr":                   "The mean of 1/rank of the nearest other image of the same class.",
	"ndcg":                  "Normalized discounted cumulative gain: the sum of 1/log₂(rank + 1) over the other images of the class, divided by its largest value.",
	"nmi":                   "Normalized mutual information of the classes and of as many clusters of k-means. It is above 0 for random clusters, and the more so the smaller they are.",
	"ami":                   "Adjusted mutual information: mutual information less that of random clusters of these sizes, divided by the largest such difference. Chance is 0.",
	"map_at_r":              "Mean average precision at R: the precision among the R nearest images, averaged over the ranks of correct images, where R is the number of other images of the class.",
}

func figureRows(r Report) (rows []figureRow) {
	for _, row := range r.Rows() {
		f := figureRow{
			Title: row.Title, Meaning: meanings[row.Name],
			Trained: percent(row.Value), Interval: percent(row.Low) + " – " + percent(row.High),
			Untrained: percent(row.Untrained), Pixels: percent(row.Pixels),
		}
		if row.Name == "verification_eer" {
			f.Note = "smaller is better"
		}
		if published := r.PublishedFor(row.Name); published != "" {
			f.Note = "published: " + published
		}
		if row.Pretrained != nil {
			f.Pretrained = percent(*row.Pretrained)
		}
		if gain := row.Gain; gain != nil {
			f.Gain = fmt.Sprintf("%s (%s to %s)", signed(gain.Value), signed(gain.Low), signed(gain.High))
			baseline, best, all := "the untrained network", row.Untrained, "better than both"
			if row.Pixels > best {
				baseline, best = "raw pixels", row.Pixels
			}
			if row.Pretrained != nil {
				if all = "better than all three"; *row.Pretrained > best {
					baseline = "the network before fine-tuning"
				}
			}
			switch {
			case gain.Low > 0:
				f.Verdict = all
			case gain.High < 0:
				f.Verdict = "worse than " + baseline
			default:
				f.Verdict = "no clear gain over " + baseline
			}
		}
		rows = append(rows, f)
	}
	return rows
}

// signed formats a share in percent with its sign, using the typographic minus.
func signed(share float64) string {
	return strings.Replace(fmt.Sprintf("%+.2f", 100*share), "-", "−", 1)
}

func percent(share float64) string { return fmt.Sprintf("%.2f", 100*share) }

// Numbers of examples on the page.
const (
	hardestPairs = 8 // of each kind
	worstQueries = 6
)

// imageView is an image with its caption.
type imageView struct {
	Picture template.URL
	Class   string // empty where pairs are listed
	Source  string
	Note    string // such as its distance from a query
	Large   bool   // so large that the browser may smooth it when scaling
}

// SourceParts splits the source where a line may break in a narrow column: before
// brackets and after slashes and underscores.
func (v imageView) SourceParts() (parts []string) {
	last := 0
	for i, r := range v.Source {
		if i > last && (r == '[' || r == '(' || strings.ContainsRune("/_", rune(v.Source[i-1]))) {
			parts = append(parts, v.Source[last:i])
			last = i
		}
	}
	return append(parts, v.Source[last:])
}

// pairView is a pair of images with its distance and its classification.
type pairView struct {
	Left, Right imageView
	Distance    string
	Decision    string // classification by the threshold, if there is one
	Wrong       bool
}

// verifiedView is the data of the page's section on verification.
type verifiedView struct {
	Pairs             int
	Threshold         string
	Refused, Accepted string // false reject and false accept rates at the threshold, in percent
	Same, Different   []pairView
	Listed            bool
}

func viewVerified(v *VerificationEvidence) *verifiedView {
	if v == nil {
		return nil
	}
	result := &verifiedView{Pairs: len(v.Pairs), Listed: v.Images.Labels == nil}
	if v.Threshold != nil {
		refused, accepted := mistakes(v)
		result.Threshold, result.Refused, result.Accepted = distance(*v.Threshold), percent(refused), percent(accepted)
	}
	same, different := v.Hardest(hardestPairs)
	for _, kind := range []struct {
		pairs []int
		views *[]pairView
	}{{same, &result.Same}, {different, &result.Different}} {
		for _, i := range kind.pairs {
			pair := pairView{
				Left: viewImage(v.Images, v.Pairs[i].Left, ""), Right: viewImage(v.Images, v.Pairs[i].Right, ""),
				Distance: distance(v.Distances[i]),
			}
			if v.Threshold != nil {
				pair.Wrong = (v.Distances[i] > *v.Threshold) != v.Pairs[i].Different
				if pair.Decision = "classified correctly"; pair.Wrong {
					pair.Decision = "classified incorrectly"
				}
			}
			*kind.views = append(*kind.views, pair)
		}
	}
	return result
}

// missView is a query without an image of its class among the nearest.
type missView struct {
	Query   imageView
	Nearest []imageView
	Own     imageView // the nearest of its class
}

// retrievedView is the data of the page's section on retrieval.
type retrievedView struct {
	Images, Queries, Depth, Missed int
	Worst                          []missView
}

func viewRetrieved(r *RetrievalEvidence) *retrievedView {
	if r == nil {
		return nil
	}
	result := &retrievedView{Images: r.Images.Len(), Queries: r.Queries, Depth: r.Depth, Missed: len(r.Misses)}
	for _, miss := range r.Misses[:min(worstQueries, len(r.Misses))] {
		view := missView{Query: viewImage(r.Images, miss.Query, ""), Own: viewNeighbor(r.Images, miss.Own)}
		view.Own.Note += fmt.Sprintf(", after %d others", miss.Nearer)
		for _, neighbor := range miss.Nearest {
			view.Nearest = append(view.Nearest, viewNeighbor(r.Images, neighbor))
		}
		result.Worst = append(result.Worst, view)
	}
	return result
}

func viewNeighbor(d *datasets.Dataset, n evaluate.Neighbor) imageView {
	return viewImage(d, n.Row, distance(n.Distance))
}

func viewImage(d *datasets.Dataset, i int, note string) imageView {
	v := imageView{Source: fmt.Sprintf("image %d", i), Note: note, Large: max(d.Size.Height, d.Size.Width) > largestPicture/2}
	if d.Labels != nil {
		v.Class = d.Classes[d.Labels[i]]
	}
	if d.Sources != nil {
		v.Source = shortened(d.Sources[i], path.Base(v.Class))
	}
	pixels, err := d.Pixels(i)
	if err != nil { // the file has been removed since it was measured; the page has much else
		v.Note = strings.TrimPrefix(v.Note+", the image cannot be read", ", ")
		return v
	}
	v.Picture = inline(shrink(d.Size.Image(pixels), largestPicture))
	return v
}

// shortened returns the file name of a path with its parent folder, unless that has
// the name of the class. The page does not disclose the rest of the path.
func shortened(source, class string) string {
	folder, file := path.Split(filepath.ToSlash(source))
	switch folder = path.Base(folder); folder {
	case ".", "/", class:
		return file
	}
	return folder + "/" + file
}
