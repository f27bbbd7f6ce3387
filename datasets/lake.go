package datasets

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/pkg/errors"
)

// OneShotRun is one of the twenty one-shot tasks of Lake, Salakhutdinov & Tenenbaum
// 2015 ("Human-level concept learning through probabilistic program induction"),
// on which results on Omniglot are compared: twenty characters of one alphabet,
// each with one example, and twenty images to classify.
type OneShotRun struct {
	Name     string    // "run01"
	Training [][]uint8 // one example of each class, (height, width, channels) bytes, ink 255
	Test     [][]uint8 // the images to classify
	Answers  []int     // for each of Test, the index of its class in Training
}

// RunTrials returns the images of runs as one dataset of their size, and the trials as
// indices into it: each test image of a run is assigned to one of the run's training
// images. A class is called "run01/class01" and has one training and one test image,
// unless no test image of a run has it as its answer. groups has the index of the run of
// each trial, since a confidence interval has to resample whole runs
// (evaluate.Score.Clustered). A character that occurs in two runs is a class of each of
// them, so images of different runs must not be compared.
func RunTrials(runs []OneShotRun, size imaging.Size) (images *Dataset, trials []evaluate.Trial, groups []int, err error) {
	images = &Dataset{Name: "one-shot runs", Size: size}
	for r, run := range runs {
		if len(run.Answers) != len(run.Test) {
			return nil, nil, nil, errors.Errorf("one-shot %s: found %d answers to %d test images", run.Name, len(run.Answers), len(run.Test))
		}
		first, class := images.Len(), len(images.Classes)
		support := make([][]int, len(run.Training))
		for i, image := range run.Training {
			support[i] = []int{first + i}
			images.Classes = append(images.Classes, fmt.Sprintf("%s/class%02d", run.Name, i+1))
			images.add(image, class+i, fmt.Sprintf("%s/training/class%02d.png", run.Name, i+1))
		}
		for i, image := range run.Test {
			answer := run.Answers[i]
			if answer < 0 || answer >= len(support) {
				return nil, nil, nil, errors.Errorf("one-shot %s, test image %d: found the answer %d, expected 0 to %d", run.Name, i+1, answer, len(support)-1)
			}
			trials = append(trials, evaluate.Trial{Support: support, Query: images.Len(), Answer: answer})
			groups = append(groups, r)
			images.add(image, class+answer, fmt.Sprintf("%s/test/item%02d.png", run.Name, i+1))
		}
	}
	if len(trials) == 0 {
		return nil, nil, nil, errors.Wrapf(ErrTooFew, "the trials of %d one-shot runs", len(runs))
	}
	return images, trials, groups, images.Validate()
}

// add appends an image.
func (d *Dataset) add(image []uint8, label int, source string) {
	d.Images, d.Labels, d.Sources = append(d.Images, image), append(d.Labels, label), append(d.Sources, source)
}

// OpenRuns reads the file all_runs.zip, see ReadRuns.
func OpenRuns(zipPath string, o Options) ([]OneShotRun, error) {
	archive, err := zip.OpenReader(zipPath)
	if err != nil {
		return nil, errors.Wrapf(err, "open one-shot runs %s", zipPath)
	}
	defer archive.Close()
	runs, err := readRuns(&archive.Reader, o)
	return runs, errors.Wrapf(err, "open one-shot runs %s", zipPath)
}

// ReadRuns reads the one-shot runs of a file system in their order: of a *zip.Reader over
// all_runs.zip, or of its unzipped folder (os.DirFS). The images (105 × 105 pixels) are
// resized and cropped according to the options. The images are inverted, so that strokes
// are 255. Other options are ignored.
func ReadRuns(files fs.FS, o Options) (runs []OneShotRun, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			runs, err = nil, errors.Errorf("read one-shot runs: the file system panics: %v", cause)
		}
	}()
	if files == nil {
		return nil, errors.New("read one-shot runs: found a nil file system, expected a *zip.Reader or a folder")
	}
	runs, err = readRuns(files, o)
	return runs, errors.Wrap(err, "read one-shot runs")
}

func readRuns(files fs.FS, o Options) ([]OneShotRun, error) {
	if err := checkNames(files); err != nil {
		return nil, err
	}
	lists, err := fs.Glob(files, "run*/class_labels.txt")
	if err == nil && len(lists) == 0 {
		err = errors.New("found no run*/class_labels.txt")
	}
	if err != nil {
		return nil, err
	}
	o.Invert = true
	p, err := o.preprocessing(imaging.Size{Height: 105, Width: 105, Channels: 1})
	if err != nil {
		return nil, err
	}
	runs := make([]OneShotRun, len(lists))
	err = parallel.Each(context.Background(), 0, len(lists), func(i int) error {
		runs[i].Name = path.Dir(lists[i])
		return errors.Wrap(runs[i].read(files, p), lists[i])
	})
	return runs, err
}

// read follows the run's class_labels.txt, whose lines are the path of a test
// image and that of the training image of its class.
func (run *OneShotRun) read(archive fs.FS, p imaging.Preprocessing) error {
	training, err := fs.Glob(archive, run.Name+"/training/*.png")
	if err != nil {
		return err
	}
	if run.Training, err = readAll(archive, training, p); err != nil {
		return err
	}
	list, err := readList(archive, run.Name+"/class_labels.txt")
	if err != nil {
		return err
	}
	var tests []string
	for number, line := range strings.Split(strings.TrimSpace(string(list)), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return errors.Errorf("line %d: found %s, expected the paths of a test and of a training image", number+1, quoted(line))
		}
		answer := slices.Index(training, fields[1])
		if answer < 0 {
			return errors.Errorf("line %d: found the training image %s, expected one of %s", number+1, quoted(fields[1]), listing(training))
		}
		tests = append(tests, fields[0])
		run.Answers = append(run.Answers, answer)
	}
	run.Test, err = readAll(archive, tests, p)
	return err
}

// readList reads a text. An archive may claim any size for it, and pack very many
// bytes into few.
func readList(files fs.FS, name string) ([]byte, error) {
	const most = 1 << 20 // bytes, of 1,080 as published
	file, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && len(text) > most {
		err = errors.Errorf("found more than %d bytes", most)
	}
	return text, err
}

func readAll(files fs.FS, names []string, p imaging.Preprocessing) ([][]uint8, error) {
	images := make([][]uint8, len(names))
	for i, name := range names {
		file, err := files.Open(name)
		if err != nil {
			return nil, err
		}
		img, err := imaging.Decode(file, name)
		file.Close()
		if err != nil {
			return nil, err
		}
		images[i] = p.Pixels(img)
	}
	return images, nil
}
