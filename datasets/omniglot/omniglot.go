package omniglot

import (
	"archive/zip"
	"bytes"
	_ "embed"

	"github.com/likeness-go/likeness/datasets"
	"github.com/pkg/errors"
)

var (
	//go:embed images_background_small1.zip
	small1 []byte
	//go:embed all_runs.zip
	runs []byte
	//go:embed LICENSE
	license string
)

// Small1 returns the five alphabets of the minimal set "small 1" as Train, with nothing
// in Validation and Test. The images have 105 × 105 pixels, with strokes of 255 on 0,
// unless the options crop or resize them, see datasets.ReadAlphabets; Options.Background
// must be empty. The name of the data set is "omniglot-small1".
func Small1(o datasets.Options) (datasets.Splits, error) {
	archive, err := read(small1)
	if err != nil {
		return datasets.Splits{}, err
	}
	return datasets.ReadAlphabets(archive, "omniglot-small1", o)
}

// Runs returns the twenty one-shot tasks in their order. The options should be those of
// the training images; see datasets.ReadRuns.
func Runs(o datasets.Options) ([]datasets.OneShotRun, error) {
	archive, err := read(runs)
	if err != nil {
		return nil, err
	}
	return datasets.ReadRuns(archive, o)
}

// License returns the license of the embedded files. It must be distributed
// with every program that contains them.
func License() string { return license }

func read(file []byte) (*zip.Reader, error) {
	archive, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	return archive, errors.Wrap(err, "read the embedded Omniglot files")
}
