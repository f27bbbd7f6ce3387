// Command quantized measures the accuracy of models in integers of 8 bits beside their models in
// float32:
//
//	go run ./benchmarks/quantized -pictures 101_ObjectCategories -resnet MODEL -characters MODEL -omniglot FOLDER
//
// The bundled model photo, and a ResNet-18 that was trained on pictures, are calibrated on classes of
// Caltech-101 with an even place in the sorted list and measured on those with an odd place, which no
// training saw. A model of characters, such as that of the default training, is calibrated on the
// characters of five alphabets in the program and measured on the runs of Lake et al. and on pairs of
// the evaluation alphabets of Omniglot. Both models embed the same images, so differences are paired.
//
// The recorded ResNet-18 was trained from random weights on up to 60 pictures of each class of an even
// place, which are in the folder even, and the model of characters by likeness train:
//
//	likeness train --data even --backbone resnet18 --size 64x64 --objective normalized-softmax --head cosine --epochs 8 --batch 32 --images-per-class 4 --unseen none --refit=false
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/datasets/omniglot"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/quantized"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// calibrated is the number of images that give the ranges.
const calibrated = 256

func main() {
	pictures := flag.String("pictures", "", "`folder` of Caltech-101: 101_ObjectCategories")
	resnet := flag.String("resnet", "", "`file` of a ResNet-18 that was trained on the classes of an even place; none if it is empty")
	characters := flag.String("characters", "", "`file` of a model of characters; none if it is empty")
	full := flag.String("omniglot", "", "`folder` of Omniglot with its official zip files")
	each := flag.Int("each", 0, "largest `number` of pictures of a class; 0 for all")
	out := flag.String("out", "benchmarks/results", "`folder` to write the record to; empty to write none")
	flag.Parse()
	if err := run(*pictures, *resnet, *characters, *full, *each, *out); err != nil {
		fmt.Fprintln(os.Stderr, "quantized:", err)
		os.Exit(1)
	}
}

// table collects the rows of the record.
type table struct{ strings.Builder }

func run(pictures, resnet, characters, full string, each int, out string) error {
	start := time.Now()
	if pictures == "" && characters == "" {
		return errors.New("found neither -pictures nor -characters, expected at least one")
	}
	var t table
	fmt.Fprintf(&t, "Models in integers of 8 bits (int8) beside their models in float32, on the same images; in percent, with intervals of\n95 %%. Ranges of activations are from %d images. One-shot accuracy of pictures is over 10,000 episodes of 20 classes,\nverification over 10,000 pairs. Differences are paired and their intervals resample images.\n\n", calibrated)
	fmt.Fprint(&t, "| model, images | measure | float32 | int8 | difference |\n|---|---|---|---|---|\n")
	if pictures != "" {
		photo, err := zoo.Load(zoo.Photo)
		if err != nil {
			return err
		}
		if err := t.pictures("photo (EfficientNet-Lite0)", photo, pictures, each, true); err != nil {
			return err
		}
		if resnet != "" {
			model, err := likeness.Load(resnet)
			if err != nil {
				return err
			}
			if err := t.pictures(fmt.Sprintf("ResNet-18, %v", model.Preprocessing.Size), model, pictures, each, false); err != nil {
				return err
			}
		}
	}
	if characters != "" {
		model, err := likeness.Load(characters)
		if err != nil {
			return err
		}
		if err := t.characters(model, full); err != nil {
			return err
		}
	}
	fmt.Print(t.String())
	if out == "" {
		return nil
	}
	command := "go run ./benchmarks/quantized"
	for _, f := range []struct{ name, value string }{{"pictures", filepath.Base(pictures)}, {"resnet", resnet}, {"characters", characters}, {"omniglot", full}} {
		if f.value != "" && f.value != "." {
			if f.name != "pictures" {
				f.value = map[string]string{"resnet": "RESNET", "characters": "RUN/model.safetensors", "omniglot": "OMNIGLOT"}[f.name]
			}
			command += fmt.Sprintf(" -%s %s", f.name, f.value)
		}
	}
	if each > 0 {
		command += fmt.Sprint(" -each ", each)
	}
	return record.Record{Title: "Accuracy of quantized models", Command: command, Took: time.Since(start), Result: t.String()}.WriteFile(filepath.Join(out, "quantized.md"))
}

// both are the embeddings of images by a model and by its quantized form.
type both struct {
	float, int8   evaluate.Embeddings
	metric, other evaluate.Metric
}

// quantize makes the quantized form from some images.
func quantize(model *likeness.Model, images likeness.Images) (*likeness.Model, error) {
	chosen := random.New(1, "calibration").Perm(images.Len())
	var pixels likeness.Pixels
	for _, i := range chosen[:min(len(chosen), calibrated)] {
		image := make([]uint8, model.Preprocessing.Size.Len())
		if err := images.Read(i, image); err != nil {
			return nil, err
		}
		pixels = append(pixels, image)
	}
	return model.Quantize(pixels, quantized.Options{})
}

func embed(model, q *likeness.Model, images likeness.Images) (b both, err error) {
	if b.metric, err = model.Metric(); err != nil {
		return b, err
	}
	if b.other, err = q.Metric(); err != nil {
		return b, err
	}
	if b.float, err = model.EmbedAll(images, nil); err != nil {
		return b, err
	}
	b.int8, err = q.EmbedAll(images, nil)
	return b, err
}

// row writes a row.
func (t *table) row(name, measure string, before, after, difference evaluate.Estimate) {
	text := func(format string, e evaluate.Estimate) string {
		return fmt.Sprintf(format+" ["+format+", "+format+"]", 100*e.Value, 100*e.Low, 100*e.High)
	}
	line := fmt.Sprintf("| %s | %s | %s | %s | %s |\n", name, measure, text("%.2f", before), text("%.2f", after), text("%+.2f", difference))
	fmt.Fprint(os.Stderr, line)
	t.WriteString(line)
}

// caltech are the pictures of the classes of an odd or an even place.
type caltech struct {
	files         []string
	labels        []int
	preprocessing imaging.Preprocessing
}

func (c caltech) Len() int { return len(c.files) }

func (c caltech) Read(i int, pixels []uint8) error {
	img, err := c.preprocessing.DecodeFile(c.files[i])
	if err != nil {
		return err
	}
	prepared, err := c.preprocessing.Prepare(img)
	copy(pixels, prepared)
	return errors.WithMessage(err, c.files[i])
}

func readCaltech(folder string, p imaging.Preprocessing, odd bool, each int) (caltech, error) {
	c := caltech{preprocessing: p}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return c, errors.Wrap(err, "-pictures")
	}
	class := 0
	for _, entry := range entries {
		if !entry.IsDir() || entry.Name() == "BACKGROUND_Google" {
			continue
		}
		if (class%2 == 1) == odd {
			found, err := imaging.Find(filepath.Join(folder, entry.Name()))
			if err != nil {
				return c, err
			}
			files := found.Files
			if each > 0 {
				files = files[:min(each, len(files))]
			}
			for _, file := range files {
				c.files, c.labels = append(c.files, file), append(c.labels, class)
			}
		}
		class++
	}
	return c, nil
}

// pictures measures a model of pictures, and the model adapted to the even classes.
func (t *table) pictures(name string, model *likeness.Model, folder string, each int, adapted bool) error {
	known, err := readCaltech(folder, model.Preprocessing, false, 60)
	if err != nil {
		return err
	}
	unseen, err := readCaltech(folder, model.Preprocessing, true, each)
	if err != nil {
		return err
	}
	q, err := quantize(model, known)
	if err != nil {
		return err
	}
	b, err := embed(model, q, unseen)
	if err != nil {
		return err
	}
	if err := t.summaries(fmt.Sprintf("%s, %d pictures of unseen classes of Caltech-101", name, len(unseen.files)), b, unseen.labels); err != nil || !adapted {
		return err
	}
	frozen, err := model.EmbedAll(known, nil)
	if err != nil {
		return err
	}
	fitted, err := adapt.Fit(context.Background(), b.metric, evaluate.Labeled{Embeddings: frozen, Labels: known.labels}, adapt.Options{HalfPrecision: model.HalfPrecision, Seed: 1})
	if err != nil {
		return err
	}
	whitened, err := fitted.Model(model)
	if err != nil {
		return err
	}
	if q, err = quantize(whitened, known); err != nil {
		return err
	}
	if b.metric, err = whitened.Metric(); err != nil {
		return err
	}
	if b.float, err = fitted.Apply(b.float); err != nil {
		return err
	}
	if b.int8, err = q.EmbedAll(unseen, nil); err != nil {
		return err
	}
	b.other = b.metric
	return t.summaries(fmt.Sprintf("%s adapted (%s)", name, fitted.Chosen), b, unseen.labels)
}

// summaries writes the rows of labeled images.
func (t *table) summaries(name string, b both, labels []int) error {
	o := evaluate.SummaryOptions{Episodes: 10000, RecallAt: []int{1}, Pairs: 10000, Clustered: 200, Seed: 1}
	before, err := evaluate.Summarize(b.metric, evaluate.Labeled{Embeddings: b.float, Labels: labels}, o)
	if err != nil {
		return err
	}
	after, err := evaluate.Summarize(b.other, evaluate.Labeled{Embeddings: b.int8, Labels: labels}, o)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		name          string
		before, after evaluate.Score
		queries       []int
	}{
		{"recall@1", before.Retrieval.RecallAt[1], after.Retrieval.RecallAt[1], before.Retrieval.Queries},
		{"MAP@R", before.Retrieval.MAPAtR, after.Retrieval.MAPAtR, before.Retrieval.Queries},
		{"20-way one-shot", before.OneShot, after.OneShot, evaluate.Queries(before.OneShotTrials)},
	} {
		difference, err := evaluate.Difference(m.after, m.before, m.queries)
		if err != nil {
			return err
		}
		t.row(name, m.name, m.before.Estimate, m.after.Estimate, difference)
	}
	return t.verification(name, before.Verification, after.Verification)
}

// verification writes the rows of a verification.
func (t *table) verification(name string, before, after *evaluate.Verification) error {
	difference, err := evaluate.AUCDifference(after, before)
	if err != nil {
		return err
	}
	t.row(name, "verification, ROC AUC", before.AUC(), after.AUC(), difference)
	low, high := before.BestThreshold(), after.BestThreshold()
	if difference, err = evaluate.AccuracyDifference(after, high, before, low); err != nil {
		return err
	}
	t.row(name, "verification, accuracy", before.AccuracyAt(low), after.AccuracyAt(high), difference)
	return nil
}

// characters measures a model of characters.
func (t *table) characters(model *likeness.Model, full string) error {
	p := model.Preprocessing
	o := datasets.Options{Size: p.Size, Crop: p.Crop}
	splits, err := omniglot.Small1(o)
	if err != nil {
		return err
	}
	q, err := quantize(model, splits.Train)
	if err != nil {
		return err
	}
	runs, err := omniglot.Runs(o)
	if err != nil {
		return err
	}
	images, trials, groups, err := datasets.RunTrials(runs, p.Size)
	if err != nil {
		return err
	}
	b, err := embed(model, q, images)
	if err != nil {
		return err
	}
	before, err := evaluate.OneShot(b.metric, b.float, trials, evaluate.MeanDistance)
	if err != nil {
		return err
	}
	after, err := evaluate.OneShot(b.other, b.int8, trials, evaluate.MeanDistance)
	if err != nil {
		return err
	}
	difference, err := evaluate.Difference(after, before, groups)
	if err != nil {
		return err
	}
	const name = "default training, characters"
	t.row(name, "20-way one-shot, Lake's 20 runs", before.Estimate, after.Estimate, difference)
	if full == "" {
		return nil
	}
	all, err := datasets.Open(full, o)
	if err != nil {
		return err
	}
	if b, err = embed(model, q, all.Test); err != nil {
		return err
	}
	return t.summaries(fmt.Sprintf("%s, %d drawings of 20 unseen alphabets of Omniglot", name, all.Test.Len()), b, all.Test.Labels)
}
