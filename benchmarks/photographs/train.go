package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// fineTuning runs the default training on the even classes, and compares it with the frozen
// and the adapted model on the odd ones.
func fineTuning(o options) error {
	start := time.Now()
	folder, err := os.MkdirTemp("", "photographs-")
	if err != nil {
		return errors.WithStack(err)
	}
	defer os.RemoveAll(folder)
	known := filepath.Join(folder, "known")
	if err := o.copyEven(known); err != nil {
		return err
	}
	unseen, err := o.caltech(true)
	if err != nil {
		return err
	}
	frozen, err := zoo.Load(zoo.Photo)
	if err != nil {
		return err
	}
	adapted, _, err := adapt.Folder(context.Background(), frozen, known, adapt.Options{Seed: 1})
	if err != nil {
		return err
	}
	options := evaluate.SummaryOptions{Episodes: 10000, RecallAt: []int{1}, Pairs: 10000, Seed: 1}
	measure := func(model *likeness.Model) (*evaluate.Summary, error) {
		set, err := embed(model, unseen, nil)
		if err != nil {
			return nil, err
		}
		metric, err := model.Metric()
		if err != nil {
			return nil, err
		}
		return evaluate.Summarize(metric, set, options)
	}
	var text strings.Builder
	write := func(name string, values ...evaluate.Estimate) {
		fmt.Fprintf(&text, "| %s |", name)
		for _, v := range values {
			fmt.Fprintf(&text, " %.2f [%.2f, %.2f] |", 100*v.Value, 100*v.Low, 100*v.High)
		}
		fmt.Fprintln(&text)
	}
	row := func(name string, s *evaluate.Summary) {
		write(name, s.Retrieval.RecallAt[1].Estimate, s.Retrieval.MAPAtR.Estimate, s.OneShot.Estimate)
	}
	fmt.Fprint(&text, "| on the unseen classes | recall@1 | MAP@R | 20-way one-shot, 10,000 episodes |\n|---|---|---|---|\n")
	var before, base *evaluate.Summary
	if before, err = measure(frozen); err != nil {
		return err
	}
	row("frozen", before)
	if base, err = measure(adapted); err != nil {
		return err
	}
	row("adapted (`likeness adapt`)", base)
	var took []string
	var all []*evaluate.Summary
	differ := func(after *evaluate.Summary) error {
		differences, err := compare(after, base, unseen.labels)
		if err != nil {
			return err
		}
		write("— difference from adapted, resampling query images", differences[0][:]...)
		write("— difference from adapted, resampling classes", differences[1][:]...)
		return nil
	}
	for seed := uint64(1); seed <= uint64(o.seeds); seed++ {
		begin := time.Now()
		result, err := run.Train(context.Background(), run.Settings{
			Data: known, Unseen: run.List{"none"}, Seed: seed, Out: filepath.Join(folder, fmt.Sprint("run", seed)),
		}, nil)
		if err != nil {
			return err
		}
		if result.Refit == nil || result.Report.Interpolation == nil {
			return errors.New("the training was not repeated on all images, or its weights were not interpolated: the record is of one with both")
		}
		took = append(took, fmt.Sprintf("%.0f s of training and %.0f s of the training on all images, in %.0f s with the adaptation before and the measurements between", result.Training.Seconds, result.Refit.Seconds, time.Since(begin).Seconds()))
		held, err := likeness.Load(result.Folder.Measured())
		if err != nil {
			return err
		}
		before, err := measure(held)
		if err != nil {
			return err
		}
		row(fmt.Sprintf("trained without the held-out images, seed %d", seed), before)
		after, err := measure(result.Model)
		if err != nil {
			return err
		}
		row(fmt.Sprintf("trained (`likeness train`), seed %d, %d steps, share %v of the trained weights", seed, result.Refit.Steps, result.Report.Interpolation.Share), after)
		if err := differ(after); err != nil {
			return err
		}
		all = append(all, after)
	}
	if len(all) > 1 {
		mean, err := averaged(all)
		if err != nil {
			return err
		}
		row(fmt.Sprintf("mean of the %d seeds", len(all)), mean)
		if err := differ(mean); err != nil {
			return err
		}
	}
	fmt.Print(text.String())
	return record.Record{
		Title:   "Fine-tuning the bundled model on Caltech-101",
		Command: fmt.Sprintf("go run ./benchmarks/photographs train -data %s -seeds %d", filepath.Base(o.data), o.seeds),
		Took:    time.Since(start),
		Result: "The default training on the classes of an even place in the sorted list without BACKGROUND_Google, `likeness train --data EVEN\n--unseen none`, of which a fifth of the classes and a tenth of the images are held out for validation and a fifth for testing, until\na last training on all of them (the setting refit), with the weights before and after each training interpolated; measured on the classes of an odd place, which no part of the training sees. Intervals are of 95 %. The settings\nwere chosen by validation on held-out classes of the even places, after one run with other settings had been measured on the same unseen classes.\n\n" +
			text.String() + "\nBy seed: " + strings.Join(took, "; ") + ".\n",
	}.WriteFile(filepath.Join(o.out, "photographs-train.md"))
}

// averaged is the figures of several models, each query with the mean of its values.
func averaged(summaries []*evaluate.Summary) (*evaluate.Summary, error) {
	mean := *summaries[0]
	mean.Retrieval.RecallAt = map[int]evaluate.Score{}
	for _, figure := range []struct {
		of      func(*evaluate.Summary) evaluate.Score
		set     func(evaluate.Score)
		queries []int
	}{
		{func(s *evaluate.Summary) evaluate.Score { return s.Retrieval.RecallAt[1] }, func(v evaluate.Score) { mean.Retrieval.RecallAt[1] = v }, mean.Retrieval.Queries},
		{func(s *evaluate.Summary) evaluate.Score { return s.Retrieval.MAPAtR }, func(v evaluate.Score) { mean.Retrieval.MAPAtR = v }, mean.Retrieval.Queries},
		{func(s *evaluate.Summary) evaluate.Score { return s.OneShot }, func(v evaluate.Score) { mean.OneShot = v }, evaluate.Queries(mean.OneShotTrials)},
	} {
		score := evaluate.Score{Trials: make([]float64, len(figure.of(summaries[0]).Trials))}
		for _, s := range summaries {
			for i, v := range figure.of(s).Trials {
				score.Trials[i] += v / float64(len(summaries))
			}
		}
		var err error
		if score.Estimate, err = score.Clustered(figure.queries); err != nil {
			return nil, err
		}
		figure.set(score)
	}
	return &mean, nil
}

// copyEven copies the pictures of the even classes to a folder.
func (o options) copyEven(folder string) error {
	p, err := o.caltech(false)
	if err != nil {
		return err
	}
	for _, file := range p.files {
		class := filepath.Join(folder, filepath.Base(filepath.Dir(file)))
		if err := os.MkdirAll(class, 0o777); err != nil {
			return errors.WithStack(err)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return errors.WithStack(err)
		}
		if err := os.WriteFile(filepath.Join(class, filepath.Base(file)), content, 0o666); err != nil {
			return errors.WithStack(err)
		}
	}
	return nil
}

// peerSeconds is the processor time of the training in PyTorch: twice the 94 seconds in which the
// command train takes the longest on two processors that do nothing else, from the files to the
// model, with its adaptation and its measurements.
const peerSeconds = 188

// peerTraining fine-tunes the network in PyTorch on the even classes, and measures it on the odd
// ones.
func peerTraining(o options) error {
	start := time.Now()
	folder, err := os.MkdirTemp("", "photographs-")
	if err != nil {
		return errors.WithStack(err)
	}
	defer os.RemoveAll(folder)
	if err := o.copyEven(filepath.Join(folder, "known")); err != nil {
		return err
	}
	unseen, err := o.caltech(true)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "unseen.txt"), []byte(strings.Join(unseen.files, "\n")), 0o666); err != nil {
		return errors.WithStack(err)
	}
	metric, err := heads.Cosine{}.Distance(nil)
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString("| on the unseen classes | recall@1 | MAP@R | 20-way one-shot, 10,000 episodes |\n|---|---|---|---|\n")
	row := func(name string, s *evaluate.Summary) {
		fmt.Fprintf(&text, "| %s |", name)
		for _, v := range []evaluate.Estimate{s.Retrieval.RecallAt[1].Estimate, s.Retrieval.MAPAtR.Estimate, s.OneShot.Estimate} {
			fmt.Fprintf(&text, " %.2f [%.2f, %.2f] |", 100*v.Value, 100*v.Low, 100*v.High)
		}
		fmt.Fprintln(&text)
	}
	var peer struct {
		Steps    int      `json:"steps"`
		Images   int      `json:"images"`
		Pictures int      `json:"pictures"`
		Tools    []string `json:"tools"`
	}
	var all []*evaluate.Summary
	var steps []string
	for seed := 1; seed <= o.seeds; seed++ {
		command := exec.Command(o.python, "-B", filepath.Join(filepath.Dir(o.script), "reference_train.py"), o.weights, folder, strconv.Itoa(peerSeconds), strconv.Itoa(seed))
		command.Stderr = os.Stderr
		output, err := command.Output()
		if err != nil {
			return errors.Wrap(err, "run the peer")
		}
		if err := json.Unmarshal(output, &peer); err != nil {
			return errors.Wrapf(err, "read the answer of the peer: %s", output)
		}
		steps = append(steps, fmt.Sprintf("%d steps, which are %.1f epochs of %d pictures", peer.Steps, float64(peer.Images)/float64(peer.Pictures), peer.Pictures))
		file, err := os.Open(filepath.Join(folder, "result.npy"))
		if err != nil {
			return errors.WithStack(err)
		}
		found, err := evaluate.ReadNpy(file)
		file.Close()
		if err != nil {
			return err
		}
		summary, err := evaluate.Summarize(metric, evaluate.Labeled{Embeddings: found, Labels: unseen.labels}, evaluate.SummaryOptions{Episodes: 10000, RecallAt: []int{1}, Pairs: 10000, Seed: 1})
		if err != nil {
			return err
		}
		row(fmt.Sprintf("fine-tuned in PyTorch, seed %d", seed), summary)
		all = append(all, summary)
	}
	if len(all) > 1 {
		mean, err := averaged(all)
		if err != nil {
			return err
		}
		row(fmt.Sprintf("mean of the %d seeds", len(all)), mean)
	}
	fmt.Print(text.String())
	return record.Record{
		Title:   "Fine-tuning in PyTorch on Caltech-101",
		Command: fmt.Sprintf("%s -seeds %d", o.command(), o.seeds),
		Tools:   peer.Tools,
		Took:    time.Since(start),
		Result: fmt.Sprintf("EfficientNet-Lite0 with its published weights, trained as a classifier of the classes of an even place in the sorted list without\nBACKGROUND_Google, as torchvision's reference training does: random resized crops to 224×224 pixels, horizontal flips,\ncross-entropy with label smoothing 0.1, SGD with momentum 0.9, batches of 32, a learning rate of 0.02 for the classifier and 0.002\nfor the other layers that falls by a cosine. It has %d s of processor time, twice what `likeness train` takes from the files to the\nmodel on two processors (photographs-train.md). Then the features before the classifier are compared by the cosine distance on\nthe classes of an odd place, which no training sees. Intervals are of 95 %%.\n\n", peerSeconds) +
			text.String() + "\nBy seed: " + strings.Join(steps, "; ") + ".\n",
	}.WriteFile(filepath.Join(o.out, "photographs-train-pytorch.md"))
}
