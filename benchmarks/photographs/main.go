package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/pytorch"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// network is the name of the network of the bundled model.
const network = "efficientnet-lite0"

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("found no command, expected model, features, adapt, audit, train, train-pytorch, duplicates, variants, files, large, memory, imagenet or miniimagenet"))
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.weights, "weights", "", "`file` of the published weights")
	flags.StringVar(&o.data, "data", "", "`folder` of the pictures")
	flags.StringVar(&o.python, "python", "python3", "Python `interpreter` that runs the reference")
	flags.StringVar(&o.script, "script", "benchmarks/photographs/reference.py", "`file` of the reference")
	flags.StringVar(&o.save, "save", "photo.safetensors", "model `file` to write")
	flags.IntVar(&o.count, "count", 2000, "`number` of files of 1 megapixel for the command files, which embeds a fifth as many of 12, or of files for large, or of pictures for variants, or of files to train on for memory")
	flags.StringVar(&o.memory, "memory", "", "`size` of the setting memory for the command memory; the default if it is empty")
	flags.StringVar(&o.keep, "keep", "", "`folder` in which the commands adapt and audit keep the embeddings, so that a second run need not compute them, miniimagenet keeps checkpoints, from which it continues, and large keeps its files and times")
	flags.StringVar(&o.step, "step", "", "`part` of the command large, which needs -keep: make, first, second, flips, peer or record; all if it is empty")
	flags.IntVar(&o.seeds, "seeds", 3, "`number` of seeds of the commands train, train-pytorch, audit and miniimagenet")
	flags.BoolVar(&o.validate, "validate", false, "miniimagenet: measure only on the validation classes, and write no record")
	flags.StringVar(&o.out, "out", "benchmarks/results", "`folder` to write the record to")
	if err := flags.Parse(os.Args[2:]); err != nil {
		fail(err)
	}
	commands := map[string]func(options) error{"model": makeModel, "features": features, "imagenet": imagenet, "duplicates": duplicates, "variants": findVariants, "files": fromFiles, "adapt": adaptation, "audit": auditing, "train": fineTuning, "train-pytorch": peerTraining, "memory": memory, "large": largeFiles, "miniimagenet": miniImageNet}
	command, known := commands[os.Args[1]]
	if !known {
		fail(errors.Errorf("found the command %q, expected model, features, adapt, audit, train, train-pytorch, duplicates, variants, files, large, memory, imagenet or miniimagenet", os.Args[1]))
	}
	if err := command(o); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "photographs:", err)
	os.Exit(1)
}

type options struct {
	weights, data, python, script, save, keep, out, memory, step string
	count, seeds                                                 int
	validate                                                     bool
}

// command is the command of a record, without the folders of this machine.
func (o options) command() string {
	return fmt.Sprintf("go run ./benchmarks/photographs %s -weights %s -data %s -python PYTHON", os.Args[1], filepath.Base(o.weights), filepath.Base(o.data))
}

// load returns the network with the published weights; features is the number of classes
// for the network with its classifier, and 0 for the one without.
func (o options) load(features int) (*likeness.Model, error) {
	lite, err := backbone.Named(network, backbone.Options{Features: features})
	if err != nil {
		return nil, err
	}
	preprocessing, _ := pytorch.Preprocessing(network)
	model, err := likeness.New(lite, heads.Cosine{}, preprocessing, 1)
	if err != nil {
		return nil, err
	}
	file, err := pytorch.Open(o.weights)
	if err != nil {
		return nil, err
	}
	mapping, err := file.Derive(model)
	if err != nil {
		return nil, err
	}
	if features > 0 {
		mapping.Initial = nil
		mapping.Ignore = nil
		mapping.Sources = append(mapping.Sources, pytorch.Source{Weight: "linear1", Tensor: "_fc"})
	}
	return model, file.Fill(model, mapping)
}

// pictures are the files of some classes with their labels.
type pictures struct {
	files  []string
	labels []int
}

// everyPicture returns the files of all classes: those of an even place, then the others.
func (o options) everyPicture() ([]string, error) {
	even, err := o.caltech(false)
	if err != nil {
		return nil, err
	}
	odd, err := o.caltech(true)
	return append(even.files, odd.files...), err
}

// caltech returns the pictures of the classes whose place in the sorted list, from 0, is
// odd or even.
func (o options) caltech(odd bool) (pictures, error) {
	entries, err := os.ReadDir(o.data)
	if err != nil {
		return pictures{}, errors.Wrap(err, "read -data")
	}
	var p pictures
	class := 0
	for _, entry := range entries {
		if !entry.IsDir() || entry.Name() == "BACKGROUND_Google" {
			continue
		}
		if (class%2 == 1) == odd {
			found, err := imaging.Find(filepath.Join(o.data, entry.Name()))
			if err != nil {
				return pictures{}, err
			}
			for _, file := range found.Files {
				p.files, p.labels = append(p.files, file), append(p.labels, class)
			}
		}
		class++
	}
	if class == 0 {
		return pictures{}, errors.Errorf("found no folder in %s, expected one for each class", o.data)
	}
	return p, nil
}

// atMost returns the first pictures of each class.
func (p pictures) atMost(each int) pictures {
	var some pictures
	counts := map[int]int{}
	for i, label := range p.labels {
		if counts[label]++; counts[label] <= each {
			some.files, some.labels = append(some.files, p.files[i]), append(some.labels, label)
		}
	}
	return some
}

// decoded are pictures as images for likeness.Model.EmbedAll.
type decoded struct {
	pictures
	preprocessing imaging.Preprocessing
	pixels        *os.File // where the pixels are kept for the reference; nil if they are not
}

func (d decoded) Len() int { return len(d.files) }

func (d decoded) Read(i int, pixels []uint8) error {
	img, err := d.preprocessing.DecodeFile(d.files[i])
	if err != nil {
		return err
	}
	prepared, err := d.preprocessing.Prepare(img)
	if err != nil {
		return err
	}
	copy(pixels, prepared)
	if d.pixels != nil {
		_, err = d.pixels.WriteAt(prepared, int64(i)*int64(len(prepared)))
	}
	return err
}

func (d decoded) Source(i int) string { return d.files[i] }

// embed embeds the pictures, and keeps their pixels in a file if it is not nil.
func embed(model *likeness.Model, p pictures, pixels *os.File) (evaluate.Labeled, error) {
	done := 0
	embeddings, err := model.EmbedAll(decoded{p, model.Preprocessing, pixels}, func(images int) {
		if done += images; done%512 < images {
			fmt.Fprintf(os.Stderr, "embedded %d of %d pictures\n", done, len(p.files))
		}
	})
	return evaluate.Labeled{Embeddings: embeddings, Labels: p.labels}, err
}

// makeModel writes the bundled model: the network without its classifier in half
// precision, with the threshold that is best for pairs of the even classes.
func makeModel(o options) error {
	model, err := o.load(0)
	if err != nil {
		return err
	}
	model.Preprocessing.ScaledJPEG = true // of use for pictures from 448 pixels on
	if err := model.RoundToHalf(); err != nil {
		return err
	}
	p, err := o.caltech(false)
	if err != nil {
		return err
	}
	set, err := embed(model, p.atMost(60), nil)
	if err != nil {
		return err
	}
	metric, err := model.Metric()
	if err != nil {
		return err
	}
	summary, err := evaluate.Summarize(metric, set, evaluate.SummaryOptions{Seed: 1})
	if err != nil {
		return err
	}
	threshold := summary.Verification.BestThreshold()
	model.Threshold = &threshold
	fmt.Printf("threshold %.4f of %d pairs of %d pictures of %d classes\n", threshold, summary.Pairs, summary.Images, summary.Classes)
	return model.Save(o.save)
}

// features compares the bundled model, the same network in single precision and the
// reference on the odd classes.
func features(o options) error {
	start := time.Now()
	p, err := o.caltech(true)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "photographs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	pixels, err := os.Create(filepath.Join(folder, "pixels.bin"))
	if err != nil {
		return err
	}
	defer pixels.Close()
	half, err := zoo.Load(zoo.Photo)
	if err != nil {
		return err
	}
	single, err := o.load(0)
	if err != nil {
		return err
	}
	untrained, err := likeness.New(single.Backbone, single.Head, single.Preprocessing, 1)
	if err != nil {
		return err
	}
	metric, err := single.Metric()
	if err != nil {
		return err
	}
	var table strings.Builder
	fmt.Fprintf(&table, "| network | recall@1 | MAP@R | 20-way one-shot, 10,000 episodes |\n|---|---|---|---|\n")
	row := func(name string, set evaluate.Labeled) error {
		summary, err := evaluate.Summarize(metric, set, evaluate.SummaryOptions{Episodes: 10000, RecallAt: []int{1}, Pairs: 10000, Seed: 1})
		if err != nil {
			return errors.Wrap(err, name)
		}
		percent := func(s evaluate.Score) string {
			return fmt.Sprintf("%.2f [%.2f, %.2f]", 100*s.Value, 100*s.Low, 100*s.High)
		}
		text := fmt.Sprintf("| %s | %s | %s | %s |\n", name, percent(summary.Retrieval.RecallAt[1]), percent(summary.Retrieval.MAPAtR), percent(summary.OneShot))
		fmt.Print(text)
		table.WriteString(text)
		return nil
	}
	for _, each := range []struct {
		name  string
		model *likeness.Model
		keep  *os.File
	}{{"EfficientNet-Lite0, single precision", single, pixels}, {"the bundled model photo, half precision", half, nil}, {"untrained, random weights", untrained, nil}} {
		set, err := embed(each.model, p, each.keep)
		if err != nil {
			return errors.Wrap(err, each.name)
		}
		if err := row(each.name, set); err != nil {
			return err
		}
	}
	raw, err := rawPixels(p)
	if err != nil {
		return err
	}
	if err := row("raw pixels, 32×32", raw); err != nil {
		return err
	}
	reference, versions, err := o.reference("features", folder)
	if err != nil {
		return err
	}
	if err := row("the reference in PyTorch, same pixels", evaluate.Labeled{Embeddings: reference, Labels: p.labels}); err != nil {
		return err
	}
	return record.Record{
		Title:   "Frozen features on Caltech-101",
		Command: o.command(),
		Tools:   versions, Took: time.Since(start),
		Result: fmt.Sprintf("%d pictures of %d classes, those of an odd place in the sorted list without BACKGROUND_Google; 224×224 pixels; cosine\ndistance. Intervals are of 95 %%, see package evaluate. No training sees these pictures, except that the weights were trained\non ImageNet.\n\n", len(p.files), len(slices.Compact(slices.Clone(p.labels)))) + table.String(),
	}.WriteFile(filepath.Join(o.out, "photographs-features.md"))
}

// rawPixels are the pixels of 32×32 as embeddings.
func rawPixels(p pictures) (evaluate.Labeled, error) {
	preprocessing := imaging.Preprocessing{Size: imaging.Size{Height: 32, Width: 32, Channels: 3}}
	rows := make([][]float32, len(p.files))
	for i, file := range p.files {
		img, err := imaging.DecodeFile(file)
		if err != nil {
			return evaluate.Labeled{}, err
		}
		pixels, err := preprocessing.Prepare(img)
		if err != nil {
			return evaluate.Labeled{}, err
		}
		for _, v := range pixels {
			rows[i] = append(rows[i], float32(v))
		}
	}
	embeddings, err := evaluate.FromRows(rows)
	return evaluate.Labeled{Embeddings: embeddings, Labels: p.labels}, err
}

// reference runs the reference on the pixels in a folder.
func (o options) reference(what, folder string) (evaluate.Embeddings, []string, error) {
	versions, err := exec.Command(o.python, "-c", "import platform, torch; print('Python', platform.python_version()); print('torch', torch.__version__)").Output()
	if err != nil {
		return evaluate.Embeddings{}, nil, errors.Wrapf(err, "%s cannot import torch: give the path of an interpreter that can with -python", o.python)
	}
	command := exec.Command(o.python, "-B", o.script, what, o.weights, folder)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return evaluate.Embeddings{}, nil, errors.Wrap(err, "run the reference")
	}
	file, err := os.Open(filepath.Join(folder, "result.npy"))
	if err != nil {
		return evaluate.Embeddings{}, nil, err
	}
	defer file.Close()
	found, err := evaluate.ReadNpy(file)
	return found, strings.Split(strings.TrimSpace(string(versions)), "\n"), err
}

// imagenet compares the classes that the network with its classifier and the reference find.
func imagenet(o options) error {
	start := time.Now()
	found, err := imaging.Find(o.data)
	if err != nil {
		return err
	}
	p := pictures{files: found.Files, labels: make([]int, len(found.Files))}
	model, err := o.load(1000)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "photographs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	pixels, err := os.Create(filepath.Join(folder, "pixels.bin"))
	if err != nil {
		return err
	}
	defer pixels.Close()
	set, err := embed(model, p, pixels)
	if err != nil {
		return err
	}
	reference, versions, err := o.reference("classes", folder)
	if err != nil {
		return err
	}
	// The files are sorted by the identifier of their class, so file i is of class i.
	equal, right, worst := 0, 0, float32(0)
	for i := range p.files {
		ours, theirs := largest(set.Row(i)), largest(reference.Row(i))
		if ours == theirs {
			equal++
		}
		if ours == i {
			right++
		}
		for k, v := range set.Row(i) {
			worst = max(worst, max(v-reference.Row(i)[k], reference.Row(i)[k]-v))
		}
	}
	result := fmt.Sprintf("EfficientNet-Lite0 with its published weights and classifier on %d pictures, one of each class of ImageNet (they are training\npictures): %d answers (top 1) are equal to those of the reference on the same pixels, and %d are right. The largest difference of a\nlogit is %.1e.\n", len(p.files), equal, right, worst)
	fmt.Print(result)
	return record.Record{
		Title:   "Imported weights classify as the reference does",
		Command: o.command(),
		Tools:   versions, Took: time.Since(start), Result: result,
	}.WriteFile(filepath.Join(o.out, "photographs-imagenet.md"))
}

// largest is the index of the largest value.
func largest(values []float32) int {
	at := 0
	for i, v := range values {
		if v > values[at] {
			at = i
		}
	}
	return at
}
