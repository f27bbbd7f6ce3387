package sweep_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/sweep"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }

// drawings writes images of three classes to train on, two others to compare trials on and two
// others to test on.
func drawings(t testing.TB) {
	t.Helper()
	for i, part := range []string{"train", "train", "train", "val", "val", "test", "test"} {
		for image := range 4 {
			testutil.Write(t, filepath.Join("drawings", part, "bar"+strconv.Itoa(i), strconv.Itoa(image)+".png"), testutil.Bar(t, i, uint64(image), 12))
		}
	}
}

// small is a search of seconds: 6 trials, of which 2 are trained to the end.
func small(t testing.TB, out string, over ...string) sweep.Search {
	t.Helper()
	s := sweep.Search{
		Settings: run.Settings{Data: "drawings", Objective: "n-pair", Features: 4, Size: "28x28x1", Epochs: 3, StepsPerEpoch: 2, Batch: 6, ImagesPerClass: 2, Seed: 3},
		Trials:   6, Out: out,
	}
	if len(over) == 0 {
		over = []string{"learning-rate=1e-4..1e-1", "temperature=0.1..1"}
	}
	for _, text := range over {
		p, err := sweep.ParseParameter(text)
		if err != nil {
			t.Fatal(err)
		}
		s.Parameters = append(s.Parameters, p)
	}
	return s
}

// results are the files that follow from the seed alone. Times are not in them.
func results(t *testing.T, folder sweep.Folder) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, path := range []string{folder.Table(), folder.Chart(), folder.Best().Model(), folder.Best().Config()} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = content
	}
	return files
}

func expectEqual(t *testing.T, what string, want, found map[string][]byte) {
	t.Helper()
	for name, content := range want {
		if !bytes.Equal(content, found[name]) {
			t.Errorf("%s: %s differs", what, name)
		}
	}
}

// weights are the tensors of a trial's checkpoint. Its metadata have times.
func weights(t *testing.T, folder run.Folder) (all []byte) {
	t.Helper()
	file, err := safetensors.ReadFile(folder.Checkpoint())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(file.Tensors, func(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) })
	for _, tensor := range file.Tensors {
		all = fmt.Appendf(all, "%s %v\n", tensor.Name, tensor.Data)
	}
	return all
}

// A search that is killed in the middle of a step, between trials or after the choice, or that is
// interrupted, gives the same bytes as one that is not; its best model is that of a training with
// these settings; and each trial is trained for as many steps as its rung says.
func TestSearchContinues(t *testing.T) {
	testutil.InFolder(t)
	drawings(t)
	killed := map[string]bool{} // copies of the folder at some moments
	steps, trained, chosen := 0, 0, false
	kill := func() {
		name := fmt.Sprintf("killed%d", len(killed))
		if err := os.CopyFS(name, os.DirFS("whole")); err != nil {
			t.Error(err)
		}
		killed[name] = chosen
	}
	var rungs []int
	observer := &sweep.Observer{
		Training: &run.Observer{Step: func(trainer.Step) {
			if steps++; steps == 5 || steps == 15 {
				kill()
			}
		}},
		Trial: func(rung int, trial sweep.Trial) {
			if rungs = append(rungs, rung); len(rungs) == 4 {
				kill()
			}
			trained = max(trained, trial.Epochs)
		},
		Chosen: func(result *sweep.Result) {
			kill()
			if err := os.CopyFS("before", os.DirFS(string(result.Folder.Trial(result.Best.Number)))); err != nil {
				t.Error(err)
			}
			chosen = true
		},
		Best: &run.Observer{Folder: func(run.Folder) { kill() }},
	}
	whole, err := small(t, "whole").Run(context.Background(), observer)
	if err != nil {
		t.Fatal(err)
	}
	// 6 trials of one epoch of 2 steps, and 2 of them two more.
	if steps != 6*2+2*2*2 || !slices.Equal(rungs, []int{1, 1, 1, 1, 1, 1, 2, 2}) || trained != 3 {
		t.Errorf("found %d steps in the rungs %v", steps, rungs)
	}
	want := results(t, "whole")
	for name, chosen := range killed {
		if !chosen { // the choice is all that can differ, and the measurement takes most of the time
			result, err := small(t, name).Choose(context.Background(), nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			found := maps.Clone(want)
			found["trials.csv"], found["sweep.svg"] = []byte(testutil.Read(t, name, "trials.csv")), []byte(testutil.Read(t, name, "sweep.svg"))
			expectEqual(t, name, want, found)
			if !bytes.Equal(weights(t, result.Folder.Trial(result.Best.Number)), weights(t, "before")) {
				t.Errorf("%s: the checkpoint of the best trial differs", name)
			}
			continue
		}
		if _, err := small(t, name).Run(context.Background(), nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		expectEqual(t, name, want, results(t, sweep.Folder(name)))
	}
	if len(killed) != 5 {
		t.Errorf("killed at %d moments", len(killed))
	}

	ctx, cancel := context.WithCancel(context.Background())
	steps = 0
	interrupted := &sweep.Observer{Training: &run.Observer{Step: func(trainer.Step) {
		if steps++; steps == 16 {
			cancel()
		}
	}}}
	if _, err := small(t, "interrupted").Run(ctx, interrupted); err == nil || !strings.Contains(err.Error(), "the same command with --out interrupted continues") {
		t.Fatalf("found %v", err)
	}
	result, err := small(t, "interrupted").Choose(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if testutil.Read(t, "interrupted", "trials.csv") != string(want["trials.csv"]) || !bytes.Equal(weights(t, result.Folder.Trial(result.Best.Number)), weights(t, "before")) {
		t.Error("an interrupted search has another table or other weights")
	}

	// The best trial as an uninterrupted training.
	settings, err := run.Load(whole.Folder.Best().Config())
	if err != nil {
		t.Fatal(err)
	}
	settings.Out = "alone"
	if _, err := run.Train(context.Background(), settings, nil); err != nil {
		t.Fatal(err)
	}
	if testutil.Read(t, "alone", "model.safetensors") != string(want["model.safetensors"]) {
		t.Error("the best model differs from that of a training with the same settings")
	}

	title, rows := whole.Columns()
	if strings.Join(title, ",") != "trial,state,epochs,steps,validation,learning-rate,temperature" || len(rows) != 6 || rows[0][1] != "best" || rows[1][1] != "finished" || rows[2][1] != "stopped" {
		t.Errorf("found the table %q, %q", title, rows)
	}
	if *whole.Trials[0].Validation < *whole.Trials[1].Validation || *whole.Trials[2].Validation < *whole.Trials[5].Validation {
		t.Errorf("found the trials in the order %v", whole.Trials)
	}
	if whole.Run.Report.Metrics == nil || whole.Best.Number != whole.Trials[0].Number || whole.Settings.LearningRate != settings.LearningRate {
		t.Errorf("found %+v", whole.Best)
	}
	for _, trial := range whole.Trials {
		if _, err := os.Stat(whole.Folder.Trial(trial.Number).Checkpoint()); err == nil {
			t.Errorf("the checkpoint of %v is still there", trial)
		}
	}

	// What continues a search must be the same.
	other := func(change func(*sweep.Search)) error {
		s := small(t, "whole")
		change(&s)
		_, err := s.Run(context.Background(), nil)
		return err
	}
	before := testutil.Read(t, "whole", "sweep.json")
	for want, change := range map[string]func(*sweep.Search){
		"--batch 6, found 9":               func(s *sweep.Search) { s.Settings.Batch = 9 },
		"--seed 3, found 4":                func(s *sweep.Search) { s.Settings.Seed = 4 },
		"--trials 6, found 7":              func(s *sweep.Search) { s.Trials = 7 },
		"--eta 3, found 2":                 func(s *sweep.Search) { s.Eta = 2 },
		"--over [":                         func(s *sweep.Search) { s.Parameters[0].Low /= 2 },
		"--min-epochs":                     func(s *sweep.Search) { s.MinEpochs = 3 },
		"the search in whole is finished":  func(s *sweep.Search) {},
		"--out: drawings already contains": func(s *sweep.Search) { s.Out = "drawings" },
	} {
		if err := other(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, expected %q", err, want)
		}
	}
	if testutil.Read(t, "whole", "sweep.json") != before {
		t.Error("a refused search changes the folder")
	}
}

// A trial that diverges, and one whose embeddings collapse, are the worst and are named, and the
// search goes on. The number of threads changes nothing.
func TestFailedTrials(t *testing.T) {
	testutil.InFolder(t)
	drawings(t)
	s := small(t, "failed", "learning-rate=1e-3,1e38", "temperature=0.1,0.5")
	s.Trials, s.Settings.Solver = 4, "sgd"
	result, err := s.Choose(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, rows := result.Columns()
	for i, row := range rows {
		failed := row[5] == "1e38"
		if failed != (i >= 2) || failed != (strings.Contains(row[1], "diverged") || strings.Contains(row[1], "collapsed")) || failed != (row[4] == "") {
			t.Errorf("row %d: found %q", i, row)
		}
	}
	processors := runtime.GOMAXPROCS(0)
	s.Out, s.Settings.Threads = "threads", 1
	_, err = s.Choose(context.Background(), nil)
	runtime.GOMAXPROCS(processors)
	graph.SetThreads(processors)
	if err != nil {
		t.Fatal(err)
	}
	s.Settings.Threads = 0
	if testutil.Read(t, "failed", "trials.csv") != testutil.Read(t, "threads", "trials.csv") {
		t.Error("another number of threads gives another table")
	}
	again, err := s.Choose(context.Background(), &sweep.Observer{Trial: func(int, sweep.Trial) { t.Error("a finished search trains") }})
	if err != nil || again.Best.Number != result.Best.Number {
		t.Errorf("found %v, %v", again, err)
	}

	s = small(t, "all", "learning-rate=1e37,1e38")
	s.Trials, s.Settings.Solver = 2, "sgd"
	if _, err := s.Run(context.Background(), nil); !errors.Is(err, sweep.ErrAllFailed) || !strings.Contains(err.Error(), "all 2 trials failed") || !strings.Contains(err.Error(), "learning-rate=1e3") {
		t.Errorf("found %v", err)
	}
	if table := testutil.Read(t, "all", "trials.csv"); strings.Count(table, "\n") < 3 {
		t.Errorf("found the table %q", table)
	}
}

// Losses with weights of their own are searched, too, and so are those of pairs and triplets.
func TestLossesOfAllKinds(t *testing.T) {
	testutil.InFolder(t)
	drawings(t)
	s := small(t, "kinds", "objective=arcface,cross-entropy,margin,triplet,prototypical", "head=cosine,weighted-l1,squared-l2")
	s.Settings.Objective, s.Settings.Epochs, s.Settings.StepsPerEpoch = "", 2, 1
	s.Trials, s.Eta = 8, 2
	kinds := map[string]bool{}
	result, err := s.Choose(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, trial := range result.Trials {
		if kinds[trial.Values["objective"]] = true; trial.Failed != "" {
			t.Errorf("%v failed: %s", trial, trial.Failed)
		}
	}
	if len(kinds) != 5 {
		t.Errorf("found the losses %v", kinds)
	}
}

func TestSearchesThatAreRefused(t *testing.T) {
	testutil.InFolder(t)
	drawings(t)
	testutil.Bars(t, "few", 6, 4)
	for want, change := range map[string]func(*sweep.Search){
		"--out: found no folder":                 func(s *sweep.Search) { s.Out = "" },
		"--over: found no setting":               func(s *sweep.Search) { s.Parameters = nil },
		"the setting is there twice":             func(s *sweep.Search) { s.Parameters = append(s.Parameters, s.Parameters[0]) },
		"--learning-rate: found 0.1":             func(s *sweep.Search) { s.Settings.LearningRate = 0.1 },
		"--trials: found -1":                     func(s *sweep.Search) { s.Trials = -1 },
		"--eta: found 1":                         func(s *sweep.Search) { s.Eta = 1 },
		"--min-epochs: found 4, expected 1 to 3": func(s *sweep.Search) { s.MinEpochs = 4 },
		"--tensorboard":                          func(s *sweep.Search) { s.Settings.TensorBoard = true },
		"--batch: found -1":                      func(s *sweep.Search) { s.Settings.Batch = -1 },
		"--data":                                 func(s *sweep.Search) { s.Settings.Data = "missing" },
		"--validation-classes: trials are compared on classes": func(s *sweep.Search) { s.Settings.Data = "few" },
		"--over seed": func(s *sweep.Search) { s.Parameters[0] = sweep.Parameter{Key: "seed", Low: 1, High: 2} },
	} {
		s := small(t, "out")
		change(&s)
		if _, err := s.Run(context.Background(), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, expected %q", err, want)
		}
		os.RemoveAll("out")
	}
	//lint:ignore SA1012 a user may pass nil
	if _, err := small(t, "out").Run(nil, nil); err == nil || !strings.Contains(err.Error(), "no context") {
		t.Errorf("without a context: found %v", err)
	}
	panics := &sweep.Observer{Began: func([]sweep.Rung, bool) { panic("no") }}
	if _, err := small(t, "panics").Run(context.Background(), panics); err == nil || !strings.Contains(err.Error(), "panics: no") {
		t.Errorf("found %v", err)
	}
	testutil.Write(t, filepath.Join("damaged", "sweep.json"), "{")
	if _, err := small(t, "damaged").Run(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "--out: read damaged") {
		t.Errorf("found %v", err)
	}
	format, err := json.Marshal(map[string]any{"format": "likeness-sweep/9"})
	if err != nil {
		t.Fatal(err)
	}
	testutil.Write(t, filepath.Join("damaged", "sweep.json"), string(format))
	if _, err := small(t, "damaged").Run(context.Background(), nil); err == nil || !strings.Contains(err.Error(), `format "likeness-sweep/9"`) {
		t.Errorf("found %v", err)
	}
}

// Search a learning rate by six trials, of which two are trained to the end. Choose, unlike Run,
// does not measure the best of them.
func ExampleSearch() {
	folder, err := os.MkdirTemp("", "sweep")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	// Squares of seven sizes, which are the classes: three to train on, two to compare the trials
	// on and two for the test.
	for class, part := range []string{"train", "train", "train", "val", "val", "test", "test"} {
		name := filepath.Join(folder, "squares", part, fmt.Sprintf("class%d", class))
		if err := os.MkdirAll(name, 0o777); err != nil {
			fmt.Println(err)
			return
		}
		for i := range 4 {
			square := image.NewGray(image.Rect(0, 0, 28, 28))
			draw.Draw(square, image.Rect(i, i, i+3*class+2, i+3*class+2), image.White, image.Point{}, draw.Src)
			var file bytes.Buffer
			if err := png.Encode(&file, square); err != nil {
				fmt.Println(err)
				return
			}
			if err := os.WriteFile(filepath.Join(name, fmt.Sprintf("%d.png", i)), file.Bytes(), 0o666); err != nil {
				fmt.Println(err)
				return
			}
		}
	}
	rate, err := sweep.ParseParameter("learning-rate=1e-4..1e-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	search := sweep.Search{
		Settings:   run.Settings{Data: filepath.Join(folder, "squares"), Objective: "n-pair", Epochs: 3, StepsPerEpoch: 2, Batch: 6, ImagesPerClass: 2},
		Parameters: []sweep.Parameter{rate}, Trials: 6, Out: filepath.Join(folder, "search"),
	}
	observer := &sweep.Observer{Began: func(rungs []sweep.Rung, _ bool) { fmt.Println(rungs) }}
	result, err := search.Choose(context.Background(), observer)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(result.Trials), "trials, the best trained for", result.Best.Epochs, "epochs")
	// Output:
	// [{6 1} {2 3}]
	// 6 trials, the best trained for 3 epochs
}
