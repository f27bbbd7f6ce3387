package run

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
)

// pictures writes a folder of images of some classes, of a kind that picture has.
func pictures(t *testing.T, folder, kind string, classes, each int, size imaging.Size) {
	t.Helper()
	for class := range classes {
		for i := range each {
			pixels := picture(kind, size, 10*class+i)
			img := image.NewRGBA(image.Rect(0, 0, size.Width, size.Height))
			for at := range size.Height * size.Width {
				img.Set(at%size.Width, at/size.Width, color.RGBA{pixels[3*at], pixels[3*at+1], pixels[3*at+2], 255})
			}
			path := filepath.Join(folder, fmt.Sprintf("class%d", class), fmt.Sprintf("%d.png", i))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			file, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(file, img); err != nil {
				t.Fatal(err)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A training on a folder of photographs begins from the bundled model photo unless a flag chooses
// another beginning or what that model does not have; small images, drawings and settings files
// begin as before.
func TestPhotographsBeginFromTheBundledModel(t *testing.T) {
	inFolder(t)
	pictures(t, "photos", "photograph", 2, 3, imaging.Size{Height: 110, Width: 130, Channels: 3})
	pictures(t, "small", "photograph", 2, 3, imaging.Size{Height: 90, Width: 300, Channels: 3})
	pictures(t, "drawings", "drawing", 2, 3, imaging.Size{Height: 110, Width: 130, Channels: 3})
	write(t, "plain.toml", "data = \"photos\"\n")
	for _, test := range []struct {
		name, file string
		flags      Settings
		given      string
		from       string
	}{
		{"photographs", "", Settings{Data: "photos"}, "data", "photo"},
		{"another loss", "", Settings{Data: "photos", Objective: "n-pair"}, "data objective", "photo"},
		{"from scratch", "", Settings{Data: "photos", From: "none"}, "data from", ""},
		{"another model", "", Settings{Data: "photos", From: "own"}, "data from", "own"},
		{"another network", "", Settings{Data: "photos", Backbone: "conv4"}, "data backbone", ""},
		{"another size", "", Settings{Data: "photos", Size: "64x64"}, "data size", ""},
		{"small images", "", Settings{Data: "small"}, "data", ""},
		{"drawings", "", Settings{Data: "drawings"}, "data", ""},
		{"no folder", "", Settings{Data: "missing"}, "data", ""},
		{"a settings file", "plain.toml", Settings{}, "", ""},
	} {
		given := map[string]bool{}
		for _, key := range strings.Fields(test.given) {
			given[key] = true
		}
		settings, notes, err := Configure(test.file, test.flags, given)
		if err != nil {
			t.Fatal(err)
		}
		noted := slices.ContainsFunc(notes, func(note string) bool { return strings.Contains(note, "--from none") })
		photo := test.from == "photo"
		if settings.From != test.from || settings.Adapt != photo || settings.FreezeNorm != photo || noted != photo {
			t.Errorf("%s: found a training from %q, adapted: %v, with the notes %q, expected one from %q", test.name, settings.From, settings.Adapt, notes, test.from)
		}
		if settings.Backbone == "" && test.from == "" {
			t.Errorf("%s: found no backbone", test.name)
		}
		if want := photoDefaults(test.flags.Objective); photo && (settings.Objective != want.Objective || settings.Head != "cosine") {
			t.Errorf("%s: found %s with %s", test.name, settings.Objective, settings.Head)
		}
	}
}

// Trials of several seeds, each of which draws other images and other held-out classes, share what
// frozen layers compute of each image, and have the weights of trials that share nothing.
func TestTrialsShareFrozenLayers(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 24, 4)
	size := imaging.Size{Height: 16, Width: 16, Channels: 1}
	network := backbone.Network{Name: "small", Size: size, Blocks: []graph.Block{
		graph.Conv{Filters: 8, Kernel: 3, Padding: 1, Activation: "relu", Pool: 4}, graph.GlobalAveragePool{},
	}}
	model, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: size, Mean: []float64{0.5}, StdDev: []float64{0.5}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Save("own.safetensors"); err != nil {
		t.Fatal(err)
	}
	var together Trials
	for _, test := range []struct {
		seed   uint64
		adapts bool
		head   string
	}{{1, false, "cosine"}, {2, true, "cosine"}, {3, true, "cosine"}, {3, true, "l2"}} {
		seed := test.seed
		s := Settings{
			Data: "bars", From: "own.safetensors", Unseen: List{"none"}, ValidationClasses: 0.25, Limit: 48, TestLimit: 12, Adapt: test.adapts, Head: test.head, Features: 4, Freeze: List{"conv*"},
			Objective: "n-pair", Batch: 16, Epochs: 1, StepsPerEpoch: 3, LearningRate: 1e-2, Seed: seed,
		}
		var weights [2][]float32
		var starts [2][]float32
		for i, trials := range []*Trials{&together, {}} {
			trial, err := trials.Train(t.Context(), s, Folder(fmt.Sprint("trial", seed, test.head, i)), 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			weights[i], starts[i] = trial.Model.Weights.Get("linear1.weight").Value.Float32s(), trial.Start.Weights.Get("linear1.weight").Value.Float32s()
		}
		if !slices.Equal(weights[0], weights[1]) || !slices.Equal(starts[0], starts[1]) {
			t.Errorf("seed %d: found other weights than without sharing", seed)
		}
		if slices.Equal(weights[0], starts[0]) {
			t.Errorf("seed %d: the training has not changed the weights", seed)
		}
	}
	if len(together.shared) != 3 {
		t.Errorf("found %d results for three divisions of the data and two heads", len(together.shared))
	}
	if len(together.files) != 1 || len(together.frozen) != 1 || len(together.opened) != 3 {
		t.Errorf("found %d readings of the files and %d prefixes for %d divisions of the data, expected one of each for three", len(together.files), len(together.frozen), len(together.opened))
	}
	if n := together.frozen[0].images.Len(); n <= 60 {
		t.Errorf("found the results of %d images, expected those of several draws of 48 and 12", n)
	}
}

// A model whose embeddings are perfect is not adapted, unless all of its layers are frozen: then the
// whitening is the layer that is trained.
func TestAdaptGivesALayerToTrain(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 24, 4)
	size := imaging.Size{Height: 16, Width: 16, Channels: 1}
	network := backbone.Network{Name: "small", Size: size, Blocks: []graph.Block{graph.Conv{Filters: 2, Kernel: 1, Pool: 2}, graph.Flatten{}}}
	model, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: size, Mean: []float64{0.5}, StdDev: []float64{0.5}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Save("own.safetensors"); err != nil {
		t.Fatal(err)
	}
	for frozen, layers := range map[string]int{"conv*": 1, "": 0} {
		s := Settings{
			Data: "bars", From: "own.safetensors", Unseen: List{"none"}, ValidationClasses: 0.25, Adapt: true,
			Objective: "n-pair", Batch: 16, Epochs: 1, StepsPerEpoch: 2, LearningRate: 1e-3,
		}
		if frozen != "" {
			s.Freeze = List{frozen}
		}
		var trials Trials
		trial, err := trials.Train(t.Context(), s, Folder("trial"+fmt.Sprint(layers)), 1, nil)
		if err != nil {
			t.Fatalf("frozen %q: %v", frozen, err)
		}
		if found := trial.Model.Weights.Get("linear1.weight"); (found != nil) != (layers == 1) {
			t.Errorf("frozen %q: found the layer %v", frozen, found)
		}
	}
}

// With the setting adapt, a training begins with a whitening layer after the network of the model.
// The run is recorded so that it can be repeated and evaluated, and the rate of the backbone is a
// factor for the weights of the model alone.
func TestAdaptAndBackboneRate(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 8, 8)
	size := imaging.Size{Height: 16, Width: 16, Channels: 1}
	network := backbone.Network{Name: "small", Size: size, Blocks: []graph.Block{
		graph.Conv{Filters: 8, Kernel: 3, Padding: 1, BatchNorm: true, Activation: "relu", Pool: 4}, graph.Flatten{},
	}}
	model, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: size, Mean: []float64{0.5}, StdDev: []float64{0.5}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Save("own.safetensors"); err != nil {
		t.Fatal(err)
	}
	train := func(out string, change func(*Settings)) *Result {
		t.Helper()
		s := Settings{
			Data: "bars", From: "own.safetensors", Unseen: List{"none"}, Adapt: true, FreezeNorm: true, Freeze: List{"norm1"},
			Objective: "supervised-contrastive", Batch: 16, Epochs: 1, StepsPerEpoch: 4, LearningRate: 1e-3, Out: out,
		}
		change(&s)
		result, err := Train(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	moved := func(m *likeness.Model, name string) bool {
		return !slices.Equal(m.Weights.Get(name).Value.Float32s(), model.Weights.Get(name).Value.Float32s())
	}
	plain := train("plain", func(s *Settings) { s.Features = 12 })
	if linear := plain.Model.Weights.Get("linear1.weight"); linear == nil || linear.Value.Shape()[0] != 12 || !moved(plain.Model, "conv1.weight") {
		t.Errorf("found the layer %v, expected a trained network with one of 12 features", linear)
	}
	slow := train("slow", func(s *Settings) { s.Features, s.BackboneRate = 12, 1e-12 })
	if moved(slow.Model, "conv1.weight") || slices.Equal(slow.Model.Weights.Get("linear1.weight").Value.Float32s(), train("still", func(s *Settings) {
		s.Features, s.LearningRate = 12, 1e-12
	}).Model.Weights.Get("linear1.weight").Value.Float32s()) {
		t.Error("a small rate of the backbone must hold for the weights of the model, and for no others")
	}
	again, err := Load(filepath.Join("plain", "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	again.Out = "again"
	repeated, err := Train(t.Context(), again, nil)
	if err != nil {
		t.Fatal(err)
	}
	if names := differing(plain.Model, repeated.Model); len(names) > 0 {
		t.Errorf("the saved settings train another model: %v", names)
	}
	if _, err := Evaluate(plain.Folder, EvaluationOptions{}, nil); err != nil {
		t.Errorf("the run cannot be evaluated: %v", err)
	}
}

// The vectors of classes have the head cosine and the learning rate of their loss, or that of
// the settings, and the saved settings train the same model.
func TestLossRate(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	train := func(out string, objective string, rate float64) *Result {
		t.Helper()
		result, err := Train(t.Context(), Settings{
			Data: "bars", Unseen: List{"none"}, Size: "16x16x1", Backbone: "conv4", Width: 4, Objective: objective, LossRate: rate,
			Batch: 12, ImagesPerClass: 2, Epochs: 1, StepsPerEpoch: 3, Out: out,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	vectors := func(r *Result) []float32 { return r.Model.Weights.Get("loss.vectors").Value.Float32s() }
	for objective, want := range map[string]float64{"proxy-anchor": 100, "subcenter-arcface": 1} {
		result := train(objective, objective, 0)
		saved, err := Load(filepath.Join(objective, "config.toml"))
		if err != nil {
			t.Fatal(err)
		}
		if saved.LossRate != want || saved.Head != "cosine" || objective == "subcenter-arcface" && saved.Centers != 3 {
			t.Errorf("%s: saved the learning rate %v, the head %s and %d centers, expected %v, cosine and the default", objective, saved.LossRate, saved.Head, saved.Centers, want)
		}
		saved.Out = objective + " again"
		again, err := Train(t.Context(), saved, nil)
		if err != nil {
			t.Fatal(err)
		}
		if names := differing(result.Model, again.Model); len(names) > 0 {
			t.Errorf("%s: the saved settings train another model: %v", objective, names)
		}
	}
	slow, slower := train("slow", "proxy-anchor", 1e-12), train("slower", "proxy-anchor", 1e-13)
	if !slices.Equal(vectors(slow), vectors(slower)) || slices.Equal(vectors(slow), vectors(train("fast", "proxy-anchor", 1))) {
		t.Error("a small rate of the loss must keep the vectors of the classes, and a rate of 1 must not")
	}
}

// A cross-batch memory of the settings is that of the loss, changes the model, is saved, and the
// saved settings train the same model. Without one a file has neither setting.
func TestCrossBatchMemory(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	train := func(out string, change func(*Settings)) (*Result, error) {
		t.Helper()
		settings := Settings{
			Data: "bars", Unseen: List{"none"}, Size: "16x16x1", Backbone: "conv4", Width: 4, Objective: "multi-similarity",
			Batch: 12, ImagesPerClass: 2, Epochs: 2, StepsPerEpoch: 4, Out: out,
		}
		change(&settings)
		return Train(t.Context(), settings, nil)
	}
	alone, err := train("alone", func(*Settings) {})
	if err != nil {
		t.Fatal(err)
	}
	with, err := train("with", func(s *Settings) { s.CrossBatchMemory, s.CrossBatchWarmup = 40, 2 })
	if err != nil {
		t.Fatal(err)
	}
	if len(differing(alone.Model, with.Model)) == 0 {
		t.Error("the memory has not changed the model")
	}
	if text := read(t, "alone", "config.toml"); strings.Contains(text, "cross_batch") {
		t.Errorf("settings without a memory have one:\n%s", text)
	}
	saved, err := Load(filepath.Join("with", "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if saved.CrossBatchMemory != 40 || saved.CrossBatchWarmup != 2 {
		t.Errorf("saved a memory of %d after %d steps, expected 40 after 2", saved.CrossBatchMemory, saved.CrossBatchWarmup)
	}
	saved.Out = "again"
	again, err := Train(t.Context(), saved, nil)
	if err != nil {
		t.Fatal(err)
	}
	if names := differing(with.Model, again.Model); len(names) > 0 {
		t.Errorf("the saved settings train another model: %v", names)
	}
	for want, change := range map[string]func(*Settings){
		"--cross-batch-memory: found 12, expected more than 12":                         func(s *Settings) { s.CrossBatchMemory = 12 },
		"--cross-batch-memory: cross-batch memory: triplet compares the given triplets": func(s *Settings) { s.CrossBatchMemory, s.Objective = 40, "triplet" },
		"--cross-batch-memory: cross-batch memory: proxy-anchor compares images with":   func(s *Settings) { s.CrossBatchMemory, s.Objective = 40, "proxy-anchor" },
	} {
		if _, err := train("refused", change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, expected %s", err, want)
		}
	}
}

// With too few classes the model is not adapted, and that is said.
func TestAdaptWithFewClasses(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 3, 8)
	size := imaging.Size{Height: 16, Width: 16, Channels: 1}
	network := backbone.Network{Name: "small", Size: size, Blocks: []graph.Block{graph.Conv{Filters: 4, Kernel: 3, Pool: 4}, graph.Flatten{}}}
	model, err := likeness.New(network, heads.Cosine{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Save("own.safetensors"); err != nil {
		t.Fatal(err)
	}
	var notes []string
	s := Settings{Data: "bars", From: "own.safetensors", Unseen: List{"none"}, Adapt: true, Objective: "supervised-contrastive", Batch: 8, Epochs: 1, StepsPerEpoch: 1, Out: "run"}
	result, err := Train(t.Context(), s, &Observer{Prepared: func(p Preparation) { notes = p.Notes }})
	if err != nil {
		t.Fatal(err)
	}
	s.Features, s.Out = 5, "features"
	if result, err := Train(t.Context(), s, nil); err != nil || result.Model.Weights.Get("linear1.weight").Value.Shape()[0] != 5 {
		t.Errorf("with 5 features: found %v, expected a model that has as many", err)
	}
	if result.Model.Weights.Get("linear1.weight") != nil || !slices.ContainsFunc(notes, func(note string) bool { return strings.HasPrefix(note, "not adapted: ") }) {
		t.Errorf("found the notes %q, expected that the model is not adapted", notes)
	}
}

// Adapting ends with the context, before anything is written, and needs classes.
func TestAdaptRefuses(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 8, 8)
	size := imaging.Size{Height: 16, Width: 16, Channels: 1}
	network := backbone.Network{Name: "small", Size: size, Blocks: []graph.Block{graph.Conv{Filters: 4, Kernel: 3, Pool: 4}, graph.Flatten{}}}
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Save("own.safetensors"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	observer := &Observer{Note: func(note string) {
		if strings.Contains(note, "to adapt the model") {
			cancel()
		}
	}}
	s := Settings{Data: "bars", From: "own.safetensors", Unseen: List{"none"}, Adapt: true, Objective: "supervised-contrastive", Batch: 8, Epochs: 1, Out: "run"}
	if _, err := Train(ctx, s, observer); err == nil || !strings.Contains(err.Error(), "nothing is saved") {
		t.Errorf("interrupted: found %v", err)
	}
	if _, err := os.Stat("run"); err == nil {
		t.Error("an interrupted adaptation wrote the run folder")
	}
	write(t, "pairs.csv", "a,b,different\nbars/bar0/0.png,bars/bar0/1.png,0\nbars/bar0/0.png,bars/bar1/1.png,1\n")
	s.Data, s.Unseen, s.Objective = "pairs.csv", nil, "contrastive"
	if _, err := Train(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), "leave out --adapt") {
		t.Errorf("a list of pairs: found %v", err)
	}
}

// The default training on photographs, as a whole.
func TestFineTuningOfPhotographs(t *testing.T) {
	if !testutil.Long() {
		t.Skip("it runs the bundled network for photographs: set LIKENESS_LONG=1")
	}
	inFolder(t)
	pictures(t, "photos", "photograph", 8, 8, imaging.Size{Height: 110, Width: 130, Channels: 3})
	result, err := Train(t.Context(), Settings{Data: "photos", Batch: 8, Epochs: 1, StepsPerEpoch: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if weight := result.Model.Weights.Get("linear1.weight"); weight == nil || result.Settings.From != "zoo/photo" {
		t.Errorf("found a model from %q with the layer %v", result.Settings.From, weight)
	}
	if _, err := Evaluate(result.Folder, EvaluationOptions{}, nil); err != nil {
		t.Error(err)
	}
}
