package doctor

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/pkg/errors"
)

// What the modified Hausdorff distance gets wrong of the 400 trials of Omniglot's
// official runs: 38.75 %, which its authors' demo prints as 38.8.
const (
	publishedTrials = 400
	publishedErrors = 155
)

// omniglot measures the published baseline from the official files.
func omniglot(folder string) (string, error) {
	if folder == "" {
		return "", notChecked("no folder with all_runs.zip is named")
	}
	path := filepath.Join(folder, "all_runs.zip")
	runs, err := datasets.OpenRuns(path, datasets.Options{})
	if errors.Is(err, fs.ErrNotExist) {
		return "", notChecked("there is no " + path)
	}
	if err != nil {
		return "", err
	}
	return hausdorff(runs)
}

// hausdorff compares the errors on the runs with the published ones.
func hausdorff(runs []datasets.Run) (string, error) {
	var distances [][]float64
	var answers []int
	for _, run := range runs {
		training, err := inks(run.Training)
		if err != nil {
			return "", errors.Wrap(err, run.Name)
		}
		tests, err := inks(run.Test)
		if err != nil {
			return "", errors.Wrap(err, run.Name)
		}
		for _, test := range tests {
			row := make([]float64, len(training))
			for i, example := range training {
				row[i] = evaluate.ModifiedHausdorff(test, example)
			}
			distances = append(distances, row)
		}
		answers = append(answers, run.Answers...)
	}
	score, err := evaluate.OneShotDistances(distances, answers)
	if err != nil {
		return "", err
	}
	found := fmt.Sprintf("the modified Hausdorff distance errs in %.2f %% of %d trials", 100*(1-score.Value), len(score.Trials))
	wrong := (1 - score.Value) * float64(len(score.Trials))
	if len(score.Trials) != publishedTrials || wrong < publishedErrors-0.5 || wrong > publishedErrors+0.5 {
		return "", errors.Errorf("%s, expected %.2f %% of %d", found, 100*float64(publishedErrors)/publishedTrials, publishedTrials)
	}
	return found + ", as published", nil
}

// inks are the ink of images of 105 × 105 bytes, ink 255.
func inks(images [][]uint8) ([]evaluate.Ink, error) {
	all := make([]evaluate.Ink, len(images))
	for i, image := range images {
		pixels := make([]float32, len(image))
		for j, v := range image {
			pixels[j] = float32(v) / 255
		}
		var err error
		if all[i], err = evaluate.InkOf(pixels, 105); err != nil {
			return nil, err
		}
	}
	return all, nil
}
