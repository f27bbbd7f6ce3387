package page

import (
	"fmt"
	"strings"

	"github.com/likeness-go/likeness/report"
)

// figure is a row of the table, in percent.
type figure struct {
	Title, Note, Meaning                       string
	Trained, Interval, Untrained, Pixels, Gain string
	Verdict                                    string // what the gain's interval says
}

// meanings say what each figure is, by its name in the report.
var meanings = map[string]string{
	"knn_accuracy":          "How many test images of the classes that were trained on have their nearest training image in their own class.",
	"verification_auc":      "Take a pair of one class and a pair of two: how often the first is the closer one. Guessing gives 50.",
	"verification_eer":      "How many pairs of either kind are decided wrongly where both kinds are equally often. The smaller the better; guessing gives 50.",
	"verification_accuracy": "How many pairs are decided rightly by a threshold that was chosen on other pairs.",
	"oneshot_accuracy":      "Given one example of each of some classes: how often an image is nearest to the example of its own.",
	"recall_at_1":           "How many images have an image of their own class as the nearest of all.",
	"map_at_r":              "How much of its class each image finds first, where being early counts (mean average precision at R, the size of the class).",
}

func figures(r report.Report) (rows []figure) {
	for _, row := range r.Rows() {
		f := figure{
			Title: row.Title, Meaning: meanings[row.Name],
			Trained: percent(row.Value), Interval: percent(row.Low) + " – " + percent(row.High),
			Untrained: percent(row.Untrained), Pixels: percent(row.Pixels),
		}
		if row.Name == "verification_eer" {
			f.Note = "the smaller the better"
		}
		if published := r.PublishedFor(row.Name); published != "" {
			f.Note = "published: " + published
		}
		if gain := row.Gain; gain != nil {
			f.Gain = fmt.Sprintf("%s (%s to %s)", signed(gain.Value), signed(gain.Low), signed(gain.High))
			baseline := "the untrained network"
			if row.Pixels > row.Untrained {
				baseline = "raw pixels"
			}
			switch {
			case gain.Low > 0:
				f.Verdict = "better than both"
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

// signed is in percent, with a minus as wide as the plus.
func signed(share float64) string {
	return strings.Replace(fmt.Sprintf("%+.2f", 100*share), "-", "−", 1)
}

func percent(share float64) string { return fmt.Sprintf("%.2f", 100*share) }
