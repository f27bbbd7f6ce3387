package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// adaptation adapts the bundled model to the even classes, and compares it with the frozen
// model on the odd ones.
func adaptation(o options) error {
	start := time.Now()
	model, err := zoo.Load(zoo.Photo)
	if err != nil {
		return err
	}
	known, err := o.embedded(model, false)
	if err != nil {
		return err
	}
	unseen, err := o.embedded(model, true)
	if err != nil {
		return err
	}
	frozen, err := model.Metric()
	if err != nil {
		return err
	}
	options := evaluate.SummaryOptions{Episodes: 10000, RecallAt: []int{1}, Pairs: 10000, Seed: 1}
	before, err := evaluate.Summarize(frozen, unseen, options)
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d pictures of %d classes, those of an even place in the sorted list without BACKGROUND_Google, for adapting; %d pictures\nof the %d classes of an odd place, unseen. The model is the bundled model photo; 224×224 pixels; cosine distance. Intervals are\nof 95 %%.\n\n",
		known.Rows, classCount(known.Labels), unseen.Rows, classCount(unseen.Labels))
	fmt.Fprint(&text, "| on the unseen classes | recall@1 | MAP@R | 20-way one-shot, 10,000 episodes |\n|---|---|---|---|\n")
	write := func(name string, values ...evaluate.Estimate) {
		fmt.Fprintf(&text, "| %s |", name)
		for _, v := range values {
			fmt.Fprintf(&text, " %.2f [%.2f, %.2f] |", 100*v.Value, 100*v.Low, 100*v.High)
		}
		fmt.Fprintln(&text)
	}
	write("frozen", before.Retrieval.RecallAt[1].Estimate, before.Retrieval.MAPAtR.Estimate, before.OneShot.Estimate)
	var heldOut strings.Builder
	fmt.Fprint(&heldOut, "| on held-out classes of those for adapting | features | recall@1 | MAP@R | gain in MAP@R |\n|---|---|---|---|---|\n")
	var took []string
	for i, variant := range []adapt.Options{{}, {NoHead: true}, {Features: 128}} { // the first is the default
		variant.HalfPrecision, variant.Seed = model.HalfPrecision, 1
		fitted, err := adapt.Fit(context.Background(), frozen, known, variant)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s, %d features", fitted.Chosen, fitted.Chosen.Features)
		took = append(took, fmt.Sprintf("%.1f s (%s)", fitted.Seconds, name))
		after, err := o.measureAdapted(model, fitted, unseen, options)
		if err != nil {
			return err
		}
		write(name, after.Retrieval.RecallAt[1].Estimate, after.Retrieval.MAPAtR.Estimate, after.OneShot.Estimate)
		differences, err := compare(after, before, unseen.Labels)
		if err != nil {
			return err
		}
		write("— difference from frozen, resampling query images", differences[0][:]...)
		write("— difference from frozen, resampling classes", differences[1][:]...)
		if i > 0 {
			continue
		}
		for _, c := range fitted.Candidates {
			mark := ""
			if c == fitted.Chosen {
				mark = " (chosen)"
			}
			fmt.Fprintf(&heldOut, "| %s%s | %d | %.2f | %.2f | %.2f [%.2f, %.2f] |\n", c, mark, c.Features, 100*c.RecallAt1.Value, 100*c.MAPAtR.Value, 100*c.Gain.Value, 100*c.Gain.Low, 100*c.Gain.High)
		}
	}
	fmt.Fprintf(&text, "\nThe adapted figures are those of the layers of the saved model file, which has half precision. Time after embedding: %s.\n\n%s", strings.Join(took, ", "), heldOut.String())
	fmt.Print(text.String())
	return record.Record{
		Title:   "Adapting frozen features on Caltech-101",
		Command: fmt.Sprintf("go run ./benchmarks/photographs adapt -data %s -keep EMBEDDINGS", filepath.Base(o.data)),
		Took:    time.Since(start), Result: text.String(),
	}.WriteFile(filepath.Join(o.out, "photographs-adapt.md"))
}

// classCount is the number of different labels.
func classCount(labels []int) int { return len(slices.Compact(slices.Sorted(slices.Values(labels)))) }

// embedded embeds pictures of the even or the odd classes, or reads their embeddings from
// -keep.
func (o options) embedded(model *likeness.Model, odd bool) (evaluate.Labeled, error) {
	p, err := o.caltech(odd)
	if err != nil || o.keep == "" {
		if err != nil {
			return evaluate.Labeled{}, err
		}
		return embed(model, p, nil)
	}
	path := filepath.Join(o.keep, map[bool]string{false: "even.npy", true: "odd.npy"}[odd])
	if file, err := os.Open(path); err == nil {
		defer file.Close()
		found, err := evaluate.ReadNpy(file)
		if err == nil && found.Rows != len(p.files) {
			err = errors.Errorf("%s has %d embeddings, expected %d, one for each picture: remove it", path, found.Rows, len(p.files))
		}
		return evaluate.Labeled{Embeddings: found, Labels: p.labels}, err
	}
	set, err := embed(model, p, nil)
	if err != nil {
		return set, err
	}
	if err := os.MkdirAll(o.keep, 0o777); err != nil {
		return set, errors.Wrap(err, "-keep")
	}
	return set, (&retrieval.Collection{Files: p.files, Embeddings: set.Embeddings}).WriteFile(path)
}

// measureAdapted saves the adapted model, loads it again and measures embeddings with its new
// layers. That these are the embeddings of the model is checked on some pictures.
func (o options) measureAdapted(model *likeness.Model, fitted *adapt.Adaptation, unseen evaluate.Labeled, options evaluate.SummaryOptions) (*evaluate.Summary, error) {
	adapted, err := fitted.Model(model)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "adapted-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "adapted.safetensors")
	if err := adapted.Save(file); err != nil {
		return nil, err
	}
	loaded, err := likeness.Load(file)
	if err != nil {
		return nil, err
	}
	metric, err := loaded.Metric()
	if err != nil {
		return nil, err
	}
	embeddings, err := fitted.Apply(unseen.Embeddings)
	if err != nil {
		return nil, err
	}
	p, err := o.caltech(true)
	if err != nil {
		return nil, err
	}
	const checked = 16
	for i := range checked {
		row := i * len(p.files) / checked
		img, err := imaging.DecodeFile(p.files[row])
		if err != nil {
			return nil, err
		}
		own, err := loaded.Embed(img)
		if err != nil {
			return nil, err
		}
		distance := make([]float64, 1)
		if err := metric.Paired(distance, own[0], embeddings.Row(row), embeddings.Columns); err != nil {
			return nil, err
		}
		if distance[0] > 1e-5 {
			return nil, errors.Errorf("%s: the embedding of the saved model is %v from that of its layers, expected at most 1e-5", p.files[row], distance[0])
		}
	}
	return evaluate.Summarize(metric, evaluate.Labeled{Embeddings: embeddings, Labels: unseen.Labels}, options)
}

// compare returns the differences of recall@1, MAP@R and one-shot accuracy, with intervals
// that resample the images of queries, and whole classes.
func compare(after, before *evaluate.Summary, labels []int) (differences [2][3]evaluate.Estimate, err error) {
	classOf := func(queries []int) []int {
		classes := make([]int, len(queries))
		for i, row := range queries {
			classes[i] = labels[row]
		}
		return classes
	}
	queries, asked := before.Retrieval.Queries, evaluate.Queries(before.OneShotTrials)
	for i, of := range []struct {
		after, before evaluate.Score
		queries       []int
	}{
		{after.Retrieval.RecallAt[1], before.Retrieval.RecallAt[1], queries},
		{after.Retrieval.MAPAtR, before.Retrieval.MAPAtR, queries},
		{after.OneShot, before.OneShot, asked},
	} {
		if differences[0][i], err = evaluate.Difference(of.after, of.before, of.queries); err != nil {
			return differences, err
		}
		if differences[1][i], err = evaluate.Difference(of.after, of.before, classOf(of.queries)); err != nil {
			return differences, err
		}
	}
	return differences, nil
}
