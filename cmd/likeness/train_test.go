package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/trainer"
)

// tiny are the arguments that train the tiny network on bars, with more.
func tiny(more ...string) []string {
	return append([]string{"train", "--data", "bars", "--backbone", "tiny.toml", "--objective", "contrastive", "--batch", "8", "--epochs", "2"}, more...)
}

// A training leaves a whole run folder, also for TensorBoard, which eval prints the same
// table from.
func TestTrainAndEval(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	table, said := tool(t, tiny("--out", "run", "--seed", "3", "--tensorboard")...)
	for _, text := range []string{
		"setting      seed = 3 (default 1)", "bars, 56 images of 4 classes at 12x12x1", "tiny, 444 parameters, 4 features",
		"contrastive (margin 1) with l2", "ROC AUC on 8 held-out images", "epoch 2: loss", "run folder   run",
	} {
		if !strings.Contains(said, text) {
			t.Errorf("want %q in\n%s", text, said)
		}
	}

	var result map[string]interface{}
	if err := json.Unmarshal([]byte(read(t, "run", "result.json")), &result); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"dataset", "protocol", "seed", "seconds", "images_per_second", "metrics"} {
		if result[key] == nil {
			t.Errorf("result.json lacks %s", key)
		}
	}
	for _, name := range []string{"knn_accuracy", "verification_auc", "verification_eer", "verification_accuracy", "oneshot_accuracy", "recall_at_1", "map_at_r"} {
		figure, _ := result["metrics"].(map[string]interface{})[name].(map[string]interface{})
		for _, key := range []string{"value", "low", "high", "untrained", "pixels"} {
			if _, ok := figure[key].(float64); !ok {
				t.Errorf("result.json: metric %s lacks %s", name, key)
			}
		}
	}
	epochs := strings.Split(strings.TrimSpace(read(t, "run", "metrics.jsonl")), "\n")
	if len(epochs) != 2 {
		t.Errorf("metrics.jsonl has %d lines, want one for each of 2 epochs", len(epochs))
	}
	for i, line := range epochs {
		var epoch trainer.Epoch
		if err := json.Unmarshal([]byte(line), &epoch); err != nil || epoch.Epoch != i+1 || epoch.Validation == nil {
			t.Errorf("metrics.jsonl, line %d: %v in %s", i+1, err, line)
		}
	}
	model, err := likeness.Load(filepath.Join("run", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := report.Load(filepath.Join("run", "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(recorded.Threshold, model.Threshold); diff != "" || model.Threshold == nil {
		t.Errorf("threshold (-recorded +model): %s", diff)
	}

	expectEvents(t)

	again, said := tool(t, "eval", "--run", "run")
	if diff := cmp.Diff(table, again); diff != "" {
		t.Errorf("tables (-train +eval):\n%s", diff)
	}
	if said = withoutProgress(said); said != "" {
		t.Errorf("eval found differences:\n%s", said)
	}
	toolFails(t, failure, []string{"out", "run already contains", "choose another"}, tiny("--out", "run")...)
	evalElsewhere(t, table)
}

// evalElsewhere is eval after the data has been moved away.
func evalElsewhere(t *testing.T, table string) {
	if err := os.Rename("bars", "moved"); err != nil {
		t.Fatal(err)
	}
	recorded, said := tool(t, "eval", "--run", "run")
	if recorded != table || !strings.Contains(said, "is not found") {
		t.Errorf("without its data, eval prints\n%s%s", recorded, said)
	}
	measured, said := tool(t, "eval", "--run", "run", "--data", "moved")
	if strings.Contains(said, "differs") || strings.Count(measured, "\n") != strings.Count(table, "\n") {
		t.Errorf("with its data elsewhere, eval prints\n%s%s", measured, said)
	}
	result := strings.Replace(read(t, "run", "result.json"), `"untrained": 0.`, `"untrained": 0.000`, 1)
	write(t, filepath.Join("run", "result.json"), result)
	if _, said := tool(t, "eval", "--run", "run", "--data", "moved"); !strings.Contains(said, "differs from result.json") {
		t.Errorf("eval is silent about a figure that differs:\n%s", said)
	}
}

// One seed gives one model, whatever the number of threads, and so does the
// config.toml of its run.
func TestOneSeedOneModel(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	t.Cleanup(func() {
		runtime.GOMAXPROCS(runtime.NumCPU())
		graph.SetThreads(runtime.NumCPU())
	})
	settings := []string{"--augment", "0.5", "--ema-decay", "0.9", "--penalty", "conv1=0.001,*=0.0001", "--objective", "cross-entropy"}
	tool(t, tiny(append(settings, "--out", "one", "--threads", "1")...)...)
	tool(t, tiny(append(settings, "--out", "two", "--threads", "2")...)...)
	tool(t, "train", "--config", filepath.Join("one", "config.toml"), "--out", "again")
	tool(t, tiny(append(settings, "--out", "other", "--seed", "2")...)...)

	want := read(t, "one", "model.safetensors")
	for _, other := range []string{"two", "again"} {
		if read(t, other, "model.safetensors") != want {
			t.Errorf("run %s has another model", other)
		}
	}
	if read(t, "other", "model.safetensors") == want {
		t.Error("another seed gives the same model")
	}
	if diff := cmp.Diff(read(t, "one", "config.toml"), read(t, "again", "config.toml")); diff != "" {
		t.Errorf("config.toml (-written +written again):\n%s", diff)
	}
	for _, path := range []string{"bars", "tiny.toml", t.TempDir()} {
		if strings.Contains(want, path) {
			t.Errorf("model.safetensors holds the path %s", path)
		}
	}
}

// The tool and the library's one call write the same model and the same settings, byte
// for byte.
func TestTrainIsOneCall(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	tool(t, "train", "--data", "bars", "--backbone", "tiny.toml", "--batch", "8", "--epochs", "2", "--augment", "0.5", "--out", "tool")
	result, err := run.Train(t.Context(), run.Settings{Data: "bars", Backbone: "tiny.toml", Batch: 8, Epochs: 2, Augment: 0.5, Out: "library"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"model.safetensors", "config.toml"} {
		if diff := cmp.Diff(read(t, "tool", name), read(t, "library", name)); diff != "" {
			t.Errorf("%s (-tool +library):\n%s", name, diff)
		}
	}
	if recorded, err := report.Load(result.Folder.Report()); err != nil || !cmp.Equal(recorded.Metrics, result.Report.Metrics) {
		t.Errorf("result.json has other figures than the result: %v", err)
	}
}

// The same of the default network on images of its size, with no flag but the data.
func TestTrainWithDefaultsIsOneCall(t *testing.T) {
	inFolder(t)
	for class := range 3 {
		for i := range 8 {
			write(t, filepath.Join("photos", string(rune('a'+class)), string(rune('a'+i))+".png"), bar(t, class, uint64(i), 28))
		}
	}
	tool(t, "train", "--data", "photos", "--out", "tool")
	result, err := run.Train(t.Context(), run.Settings{Data: "photos"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if read(t, "tool", "model.safetensors") != read(t, result.Folder.Model()) {
		t.Error("the models differ")
	}
	if !strings.HasPrefix(string(result.Folder), filepath.Join("runs", "photos-contrastive-")) {
		t.Errorf("found the run folder %s", result.Folder)
	}
}

// cancelAfter is an error output that interrupts the program when it has read
// the text.
type cancelAfter struct {
	bytes.Buffer
	text   string
	cancel context.CancelFunc
}

func (c *cancelAfter) Write(p []byte) (int, error) {
	n, err := c.Buffer.Write(p)
	if strings.Contains(c.String(), c.text) {
		c.cancel()
	}
	return n, err
}

// An interrupted training leaves a whole run folder all the same.
func TestInterrupted(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 12)
	ctx, cancel := context.WithCancel(context.Background())
	stderr := cancelAfter{text: "epoch 2:", cancel: cancel}
	var stdout bytes.Buffer
	if code := execute(ctx, tiny("--epochs", "1000", "--out", "run"), &stdout, &stderr); code != success {
		t.Fatalf("exit code %d\n%s", code, stderr.String())
	}
	if !strings.Contains(stderr.String(), "stopped after 2 of 1000 epochs: interrupted") {
		t.Errorf("the interruption is not reported:\n%s", stderr.String())
	}
	result, err := report.Load(filepath.Join("run", "result.json"))
	if err != nil || result.Stopped != "interrupted" {
		t.Errorf("result.json: %v, stopped %q", err, result.Stopped)
	}
	if lines := strings.Count(read(t, "run", "metrics.jsonl"), "\n"); lines != 2 {
		t.Errorf("metrics.jsonl has %d lines, want 2", lines)
	}
	if table, _ := tool(t, "eval", "--run", "run"); table != stdout.String() {
		t.Errorf("eval prints another table:\n%s%s", table, stdout.String())
	}
}

// With --refit the model is trained again on all images after the measurement, which is said, and
// eval measures the model of the figures again. The library writes the same files.
func TestRefit(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	stdout, stderr := tool(t, tiny("--refit", "--out", "run")...)
	for _, text := range []string{"training again on all 120 images of 6 classes for ", "refit: the saved model was trained again on all 120 images of 6 classes, "} {
		if !strings.Contains(stderr, text) {
			t.Errorf("found no %q in\n%s", text, stderr)
		}
	}
	if !strings.Contains(stdout, "; measured before the model is trained again on all 120 images of 6 classes (refit)") {
		t.Errorf("the protocol does not say so:\n%s", stdout)
	}
	table, warned := tool(t, "eval", "--run", "run")
	if !strings.HasPrefix(table, stdout) || !strings.Contains(table[len(stdout):], "refit: ") || strings.Contains(warned, "differs") {
		t.Errorf("eval prints another table:\n%s%s\nafter\n%s", table, warned, stdout)
	}
	if read(t, "run", "model.safetensors") == read(t, "run", "measured.safetensors") {
		t.Error("the saved model is the one that was measured")
	}
	settings, _, err := run.Configure("", run.Settings{
		Data: "bars", Backbone: "tiny.toml", Objective: "contrastive", Batch: 8, Epochs: 2, Refit: true, Out: "library",
	}, map[string]bool{"data": true, "backbone": true, "objective": true, "batch": true, "epochs": true, "refit": true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Train(t.Context(), settings, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"model.safetensors", "measured.safetensors"} {
		if read(t, "run", name) != read(t, "library", name) {
			t.Errorf("the library writes another %s", name)
		}
	}
}

// With --weight-interpolation the table and eval say the share, and the library writes the same files.
func TestWeightInterpolation(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 10)
	tool(t, tiny("--out", "first")...)
	flags := []string{"train", "--data", "bars", "--from", "first", "--batch", "8", "--epochs", "2"}
	stdout, _ := tool(t, append(flags, "--weight-interpolation", "0.25", "--out", "run")...)
	if want := "\nweight interpolation: the share of the trained weights is 0.25, that of the weights before the training 0.75\n"; !strings.Contains(stdout, want) || !strings.Contains(stdout, "; weights interpolated between those before and after the training, with the share 0.25") {
		t.Errorf("found no %q in\n%s", want, stdout)
	}
	if table, warned := tool(t, "eval", "--run", "run"); table != stdout || strings.Contains(warned, "differs") {
		t.Errorf("eval prints another table:\n%s%s\nafter\n%s", table, warned, stdout)
	}
	settings, _, err := run.Configure("", run.Settings{
		Data: "bars", From: "first", Batch: 8, Epochs: 2, WeightInterpolation: "0.25", Out: "library",
	}, map[string]bool{"data": true, "from": true, "batch": true, "epochs": true, "weight_interpolation": true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Train(t.Context(), settings, nil); err != nil {
		t.Fatal(err)
	}
	if read(t, "run", "model.safetensors") != read(t, "library", "model.safetensors") {
		t.Error("the library writes another model")
	}
	if text := read(t, "run", "result.json"); !strings.Contains(text, "\"interpolation\": {\n    \"share\": 0.25\n  }") {
		t.Errorf("found no share in\n%s", text)
	}
	toolFails(t, failure, []string{"--weight-interpolation", "1.5", "0 to 1"}, append(flags, "--weight-interpolation", "1.5", "--out", "refused")...)
}

// A training that is interrupted before it begins leaves nothing.
func TestInterruptedBefore(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 4, 4)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout, stderr bytes.Buffer
	code := execute(ctx, tiny("--out", "run"), &stdout, &stderr)
	if _, err := os.Stat("run"); code != failure || err == nil || !strings.Contains(stderr.String(), "nothing is saved") {
		t.Errorf("exit code %d, %v\n%s", code, err, stderr.String())
	}
}

// A training that diverges says what to do and keeps the last weights that are a
// model: here the first ones, as the first step leaves the numbers.
func TestDiverged(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 4, 8)
	code, _, said := runTool(tiny("--learning-rate", "1e39", "--out", "run")...)
	if code != failure || !strings.Contains(said, "lower learning rate") || !strings.Contains(said, filepath.Join("run", "model.safetensors")) {
		t.Errorf("exit code %d\n%s", code, said)
	}
	model, err := likeness.Load(filepath.Join("run", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, weight := range model.Weights.All() {
		for _, v := range weight.Value.Float32s() {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("weight %s has the value %v", weight.Name, v)
			}
		}
	}
}

// What is left open is chosen for the network: l1 distances grow with the
// features, of which tiny has 4. The run folder says what was chosen.
func TestMarginSuitsTheFeatures(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	_, said := tool(t, tiny("--head", "l1", "--out", "run")...)
	if want := "contrastive (margin 2) with l1"; !strings.Contains(said, want) {
		t.Errorf("want %q in\n%s", want, said)
	}
	if config := read(t, "run", "config.toml"); !strings.Contains(config, "\nmargin = 2.0\n") {
		t.Errorf("config.toml has another margin:\n%s", config)
	}
}

// reportOf is the result.json of a run folder.
func reportOf(t *testing.T, folder string) report.Report {
	t.Helper()
	r, err := report.Load(filepath.Join(folder, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Fine-tuning starts from given weights, which are measured beside the result, and leaves
// the frozen ones alone.
func TestFromAndFreeze(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	tool(t, tiny("--out", "first")...)
	_, said := tool(t, "train", "--data", "bars", "--from", "first", "--freeze", "conv1", "--objective", "triplet-ratio", "--scale", "2", "--batch", "8", "--epochs", "1", "--out", "second")
	if want := "triplet-ratio (scale 2) with l2"; !strings.Contains(said, want) {
		t.Errorf("want %q in\n%s", want, said)
	}
	tool(t, "train", "--config", filepath.Join("second", "config.toml"), "--out", "third")

	first, second := weightsOf(t, "first"), weightsOf(t, "second")
	for name, frozen := range map[string]bool{"conv1.weight": true, "conv1.bias": true, "linear1.weight": false} {
		if same := cmp.Equal(first[name], second[name]); same != frozen {
			t.Errorf("weight %s: unchanged is %v, want %v", name, same, frozen)
		}
	}
	if read(t, "second", "model.safetensors") != read(t, "third", "model.safetensors") {
		t.Error("the config.toml of a fine-tuning gives another model")
	}
	tool(t, "train", "--data", "bars", "--from", "first", "--features", "3", "--batch", "8", "--epochs", "1", "--out", "sized")
	tool(t, "train", "--config", filepath.Join("sized", "config.toml"), "--out", "sized again")
	if read(t, "sized", "model.safetensors") != read(t, "sized again", "model.safetensors") {
		t.Error("the config.toml of a fine-tuning with another embedding dimension gives another model")
	}
	if sized := weightsOf(t, "sized"); len(sized["linear1.bias"]) != 3 || len(first["linear1.bias"]) != 4 {
		t.Errorf("--features 3: found a last layer of %d features, after one of %d", len(sized["linear1.bias"]), len(first["linear1.bias"]))
	}
	tool(t, "eval", "--run", "sized")
	before, tuned, sized := reportOf(t, "first"), reportOf(t, "second"), reportOf(t, "sized")
	for name, was := range before.Metrics { // on the same trials
		for run, r := range map[string]report.Report{"second": tuned, "sized": sized} {
			if p := r.Metrics[name].Pretrained; p == nil || *p != was.Value || was.Pretrained != nil {
				t.Errorf("%s of %s: found %v, expected the pretrained value %v", name, run, r.Metrics[name], was.Value)
			}
		}
	}
	table, said := tool(t, "eval", "--run", "second")
	if said = withoutProgress(said); said != "" || !strings.Contains(table, "pixels pretrained\n") {
		t.Errorf("eval of a fine-tuning prints\n%s%s", table, said)
	}
	if err := os.Rename("first", "elsewhere"); err != nil {
		t.Fatal(err)
	}
	table, said = tool(t, "eval", "--run", "second")
	if strings.Contains(table, "pretrained") || strings.Contains(said, "differs") || !strings.Contains(said, "the model before fine-tuning is not measured: ") {
		t.Errorf("without the model that it began with, eval of a fine-tuning prints\n%s%s", table, said)
	}
	if err := os.Rename("elsewhere", "first"); err != nil {
		t.Fatal(err)
	}
	toolFails(t, failure, []string{"from", "leave out"}, tiny("--from", "first", "--backbone", "conv4")...)
	toolFails(t, failure, []string{`freeze "conv7"`, "conv1.weight"}, "train", "--data", "bars", "--from", "first", "--freeze", "conv7")
}

// With --freeze-norm the running statistics stay and everything else is trained, and the
// settings record it.
func TestFreezeNorm(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	write(t, "norm.toml", "name = \"norm\"\ninput = { height = 12, width = 12, channels = 1 }\n"+
		"[[block]]\nkind = \"conv\"\nfilters = 3\nkernel = 3\nbatch_norm = true\nactivation = \"silu\"\n"+
		"[[block]]\nkind = \"gem\"\n[[block]]\nkind = \"linear\"\nunits = 4\n")
	base := []string{"train", "--data", "bars", "--backbone", "norm.toml", "--batch", "8", "--epochs", "1"}
	tool(t, append(base, "--out", "first")...)
	tool(t, "train", "--data", "bars", "--from", "first", "--freeze-norm", "--batch", "8", "--epochs", "1", "--out", "second")
	first, second := weightsOf(t, "first"), weightsOf(t, "second")
	delete(first, "linear1.bias") // distances do not depend on it
	for name, values := range first {
		frozen := strings.Contains(name, "running")
		if same := cmp.Equal(values, second[name]); same != frozen {
			t.Errorf("weight %s: unchanged is %v, want %v", name, same, frozen)
		}
	}
	if config := read(t, "second", "config.toml"); !strings.Contains(config, "freeze_norm = true") {
		t.Errorf("the settings do not record freeze_norm:\n%s", config)
	}
	if config := read(t, "first", "config.toml"); strings.Contains(config, "freeze_norm") {
		t.Errorf("the settings of a training without freeze_norm have it:\n%s", config)
	}
	tool(t, "train", "--config", filepath.Join("second", "config.toml"), "--out", "third")
	if read(t, "second", "model.safetensors") != read(t, "third", "model.safetensors") {
		t.Error("the config.toml gives another model")
	}
	toolFails(t, failure, []string{"--freeze-norm", "no batch norm"}, tiny("--freeze-norm")...)
}

// Drawings are cut to their ink, in training and in what uses the model, and
// their symmetries are classes.
func TestDrawings(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	drawings := tiny("--objective", "n-pair", "--seed", "2", "--head", "cosine", "--symmetries", "--crop", "1.2", "--grouped", "--out", "run")
	_, said := tool(t, drawings...)
	if want := "n-pair (temperature 0.05) with cosine"; !strings.Contains(said, want) {
		t.Errorf("want %q in\n%s", want, said)
	}
	model, err := likeness.Load(filepath.Join("run", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&imaging.Crop{Margin: 1.2, MinSide: 0.38}, model.Preprocessing.Crop); diff != "" {
		t.Errorf("the model's crop: %s", diff)
	}
	tool(t, "train", "--config", filepath.Join("run", "config.toml"), "--out", "again")
	if read(t, "run", "model.safetensors") != read(t, "again", "model.safetensors") {
		t.Error("the config.toml gives another model")
	}
	tool(t, "train", "--data", "bars", "--from", "run", "--batch", "8", "--epochs", "1", "--out", "tuned")
	if config := read(t, "tuned", "config.toml"); !strings.Contains(config, "\ncrop = 1.2\n") {
		t.Errorf("a model that cuts to the ink is tuned on whole images:\n%s", config)
	}
}

// Photographs keep their aspect ratio, in training and in what uses the model.
func TestCenterCrop(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	tool(t, tiny("--resize", "crop", "--shorter-side", "20", "--out", "run")...)
	tool(t, tiny("--resize", "crop", "--out", "default")...)
	for folder, want := range map[string]int{"run": 20, "default": 14} { // 12 / 0.875
		model, err := likeness.Load(filepath.Join(folder, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if got := model.Preprocessing.ShorterSide; got != want {
			t.Errorf("%s: the shorter side is %d, expected %d", folder, got, want)
		}
		tool(t, "train", "--config", filepath.Join(folder, "config.toml"), "--out", folder+"-again")
		if read(t, folder, "model.safetensors") != read(t, folder+"-again", "model.safetensors") {
			t.Error("the config.toml gives another model")
		}
	}
	tool(t, "train", "--data", "bars", "--from", "run", "--batch", "8", "--epochs", "1", "--out", "tuned")
	if config := read(t, "tuned", "config.toml"); !strings.Contains(config, "\nresize = \"crop\"\nshorter_side = 20\n") {
		t.Errorf("a model that crops the center is tuned on stretched images:\n%s", config)
	}
	tool(t, tiny("--out", "stretched")...)
	if config := read(t, "stretched", "config.toml"); strings.Contains(config, "resize") || strings.Contains(config, "shorter_side") {
		t.Errorf("the settings of stretched images have keys that earlier versions do not know:\n%s", config)
	}
	for _, test := range []struct {
		texts []string
		args  []string
	}{
		{[]string{"--resize", "unknown name", "cropp", "did you mean", "crop"}, tiny("--resize", "cropp")},
		{[]string{"--shorter-side: found 20", "--resize is stretch"}, tiny("--resize", "stretch", "--shorter-side", "20")},
		{[]string{"--resize: found crop", "--crop 1.2"}, tiny("--resize", "crop", "--crop", "1.2")},
		{[]string{"--shorter-side: found 11", "12 to 65536"}, tiny("--resize", "crop", "--shorter-side", "11")},
		{[]string{"--resize: found stretch", "--from has crop with 20"}, []string{"train", "--data", "bars", "--from", "run", "--resize", "stretch"}},
		{[]string{"--resize: found crop", "--from has crop with 20"}, []string{"train", "--data", "bars", "--from", "run", "--resize", "crop", "--shorter-side", "21"}},
	} {
		toolFails(t, failure, test.texts, test.args...)
	}
}

func weightsOf(t *testing.T, folder string) map[string][]float32 {
	t.Helper()
	model, err := likeness.Load(filepath.Join(folder, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	weights := map[string][]float32{}
	for _, weight := range model.Weights.All() {
		weights[weight.Name] = weight.Value.Float32s()
	}
	return weights
}

// pictures are the files of a run's plots.
func pictures(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(folder, "plots"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// The default training needs no file and no module cache, is tested by one-shot trials of
// alphabets that it has not seen, and stands beside the published results.
func TestDefaultTrainingNeedsNoFiles(t *testing.T) {
	inFolder(t)
	for _, variable := range []string{"GOMODCACHE", "GOPATH", "XDG_CACHE_HOME", "LIKENESS_DATA"} {
		t.Setenv(variable, filepath.Join(t.TempDir(), "nowhere"))
	}
	table, said := tool(t, "train", "--width", "2", "--epochs", "1", "--steps-per-epoch", "1", "--limit", "200", "--test-limit", "80", "--out", "run")
	for _, want := range []string{"one-shot accuracy", "published, one-shot accuracy: people 95.5, Bayesian program learning 95.8, Koch et al. 2015 92.0 (trained on 30 alphabets)"} {
		if !strings.Contains(table, want) {
			t.Errorf("found no %q in\n%s", want, table)
		}
	}
	for _, want := range []string{"n-pair (temperature 0.035) with cosine", "likeness train --data FOLDER", "too few to learn much"} {
		if !strings.Contains(said, want) {
			t.Errorf("found no %q in\n%s", want, said)
		}
	}
	if result := read(t, "run", "result.json"); !strings.Contains(result, `"oneshot_accuracy"`) || !strings.Contains(result, `"published"`) {
		t.Errorf("found %s", result)
	}
	if config := read(t, "run", "config.toml"); !strings.Contains(config, `data = "omniglot-small1"`) {
		t.Errorf("found %s", config)
	}
	if again, _ := tool(t, "eval", "--run", "run"); again != table {
		t.Errorf("tables (-train +eval):\n%s", cmp.Diff(table, again))
	}
}

// A training leaves a page, which eval writes again from the files, to the bit.
func TestPage(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 20)
	_, said := tool(t, tiny("--out", "run")...)
	path := filepath.Join("run", "report.html")
	for _, next := range []string{"open " + path + " in a browser", "likeness compare IMAGE IMAGE --model run", "likeness search IMAGE --in FOLDER", "likeness enroll --folder FOLDER"} {
		if !strings.Contains(said, next) {
			t.Errorf("found no %q among the next steps:\n%s", next, said)
		}
	}
	page := read(t, path)
	for _, text := range []string{
		"bars: tiny, contrastive with l2", "ROC AUC on 8 held-out images", "(unseen classes)", "backbone", "tiny", "verification, ROC AUC", "go1.", "Worst retrievals",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("%q is not in the page", text)
		}
	}
	want := []string{"distances.png", "loss.png", "map-clusters.png", "map-pca.png", "map-tsne.png", "roc.png"}
	if diff := cmp.Diff(want, pictures(t, "run")); diff != "" {
		t.Errorf("plots (-want +found):\n%s", diff)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join("run", "plots")); err != nil {
		t.Fatal(err)
	}
	tool(t, "eval", "--run", "run")
	if exists(path) {
		t.Error("eval wrote a page that nobody asked for")
	}
	table, _ := tool(t, "eval", "--run", "run", "--report")
	if read(t, path) != page {
		t.Error("eval writes another page than the training did")
	}
	if diff := cmp.Diff(want, pictures(t, "run")); diff != "" {
		t.Errorf("plots of eval (-want +found):\n%s", diff)
	}

	if err := os.Rename("bars", "moved"); err != nil {
		t.Fatal(err)
	}
	code, recorded, said := runTool("eval", "--run", "run", "--report")
	if code != failure || recorded != table || !strings.Contains(said, path+" shows images, which are not found") {
		t.Errorf("without its data: exit code %d\n%s%s", code, recorded, said)
	}
	if read(t, path) != page {
		t.Error("without its data eval spoils the page")
	}
	tool(t, "eval", "--run", "run", "--report", "--data", "moved")
	if moved := read(t, path); !strings.Contains(moved, "moved: tiny") {
		t.Error("with its data elsewhere eval does not write the page")
	}
}

// Where there is nothing to measure the page has the curves and the settings.
func TestPageOfAListWithoutTests(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 2, 3)
	write(t, "pairs.csv", "a,b,different\nbars/bar0/0.png,bars/bar0/1.png,0\nbars/bar0/0.png,bars/bar1/0.png,1\n")
	tool(t, "train", "--data", "pairs.csv", "--backbone", "tiny.toml", "--batch", "2", "--epochs", "1", "--out", "run")
	if diff := cmp.Diff([]string{"loss.png"}, pictures(t, "run")); diff != "" {
		t.Errorf("plots (-want +found):\n%s", diff)
	}
	if page := read(t, "run", "report.html"); !strings.Contains(page, "Nothing was measured") {
		t.Errorf("the page does not say that nothing was measured:\n%s", page)
	}
}

// expectEvents checks that with --tensorboard the run folder has an event file with every
// step and epoch.
func expectEvents(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("run", "tensorboard", "*tfevents*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("found %v, %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	epochs := strings.Count(read(t, "run", "metrics.jsonl"), "\n")
	for tag, times := range map[string]int{"epoch/loss": epochs, "epoch/validation": epochs, "epoch/rate": epochs} {
		if found := strings.Count(string(content), tag); found != times {
			t.Errorf("%s is there %d times, expected %d", tag, found, times)
		}
	}
	// Two classes of 20 images are unseen.
	for _, name := range []string{"tensors.tsv", "metadata.tsv"} {
		if found := strings.Count(read(t, "run", "tensorboard", name), "\n"); found != 40 {
			t.Errorf("%s has %d lines, expected 40", name, found)
		}
	}
	if found := strings.Count(string(content), "step/loss"); found < 2*epochs {
		t.Errorf("step/loss is there %d times, expected every step of %d epochs", found, epochs)
	}
}

const leftover = ".config.toml.ABCDEFGHIJKLMNOPQRSTUVWXY2.tmp" // as atomicfile names it

// full is standard output that goes to a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// Results that could not be printed are no success, of commands that check and
// of those that only print.
func TestResultsThatAreNotPrinted(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 2, 2)
	image := filepath.Join("bars", "bar0", "0.png")
	for _, arguments := range [][]string{
		{"compare", image, image, "--model", "koch"},
		{"search", image, "--in", "bars", "--model", "koch", "--force"},
	} {
		var said strings.Builder
		if code := execute(context.Background(), arguments, full{}, &said); code != failure || !strings.Contains(said.String(), "no space left on device") {
			t.Errorf("%v: exit code %d, said %s", arguments, code, said.String())
		}
	}
}

// watcher is standard error that does something when a text is said, once.
type watcher struct {
	strings.Builder
	text string
	do   func()
}

func (w *watcher) Write(text []byte) (int, error) {
	if w.do != nil && strings.Contains(string(text), w.text) {
		w.do()
		w.do = nil
	}
	return w.Builder.Write(text)
}

// A training whose progress cannot be written down ends there, with an error
// that names the file, and goes on once it can.
func TestProgressThatIsNotKept(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	tool(t, tiny("--epochs", "4", "--out", "whole")...)
	metrics := filepath.Join("run", "metrics.jsonl")
	said := watcher{text: "epoch 2: loss", do: func() {
		if err := os.Remove(metrics); err != nil {
			t.Error(err)
		}
		write(t, filepath.Join(metrics, "in the way"), "")
	}}
	code := execute(context.Background(), tiny("--epochs", "4", "--out", "run"), &strings.Builder{}, &said)
	for _, text := range []string{"write " + metrics, "with the last weights in", "to continue: likeness train --resume run"} {
		if code != failure || !strings.Contains(said.String(), text) {
			t.Errorf("exit code %d, want %q in\n%s", code, text, said.String())
		}
	}
	if strings.Contains(said.String(), "epoch 3: loss") {
		t.Errorf("the training went on:\n%s", said.String())
	}
	if err := os.RemoveAll(metrics); err != nil {
		t.Fatal(err)
	}
	tool(t, "train", "--resume", "run")
	if read(t, "run", "model.safetensors") != read(t, "whole", "model.safetensors") {
		t.Error("the models differ")
	}
	if diff := cmp.Diff(timeless(t, "whole"), timeless(t, "run")); diff != "" {
		t.Errorf("epochs (-whole +run):\n%s", diff)
	}
}

// Temporary files of a killed training do not disturb the next one and are removed.
func TestLeftoversGo(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	for _, folder := range []string{"run", filepath.Join("run", "plots"), filepath.Join("run", "tensorboard")} {
		write(t, filepath.Join(folder, leftover), "half")
	}
	toolFails(t, failure, []string{"run already contains plots"}, tiny("--out", "run")...)
	for _, folder := range []string{"plots", "tensorboard"} {
		if err := os.RemoveAll(filepath.Join("run", folder)); err != nil {
			t.Fatal(err)
		}
	}
	tool(t, tiny("--out", "run")...)
	left, err := filepath.Glob(filepath.Join("run", ".*"))
	if diff := cmp.Diff([]string{filepath.Join("run", run.LockName)}, left); err != nil || diff != "" {
		t.Errorf("left behind %v (%v)", left, err)
	}
}

// A flat folder of images trains without labels, a model of it is used like others, and a training
// that is resumed is the same.
func TestTrainWithoutLabels(t *testing.T) {
	inFolder(t)
	for i := range 12 {
		write(t, filepath.Join("flat", fmt.Sprintf("%d.png", i)), bar(t, i%6, uint64(i), 12))
	}
	train := func(more ...string) (stdout, stderr string) {
		return tool(t, append([]string{"train", "--data", "flat", "--backbone", "tiny.toml", "--batch", "6", "--epochs", "2"}, more...)...)
	}
	_, said := train("--objective", "simclr", "--projection", "8,4", "--out", "run")
	for _, text := range []string{"flat, 12 images without classes at 12x12x1", "simclr (temperature 0.1) (projection 8,4) with cosine", "so nothing is measured", "epoch 2: loss"} {
		if !strings.Contains(said, text) {
			t.Errorf("want %q in\n%s", text, said)
		}
	}
	stdout, _ := tool(t, "compare", "--model", filepath.Join("run", "model.safetensors"), filepath.Join("flat", "0.png"), filepath.Join("flat", "1.png"))
	if !strings.Contains(stdout, "distance") {
		t.Errorf("found\n%s", stdout)
	}
	train("--objective", "barlow-twins", "--augmentation", "contrastive", "--redundancy", "0.01", "--out", "barlow")
	if config := read(t, "barlow", "config.toml"); !strings.Contains(config, "\nredundancy = 0.01\n") || !strings.Contains(config, "\ncrop_scale_min = 0.2\n") {
		t.Errorf("the settings are not recorded:\n%s", config)
	}
	toolFails(t, failure, []string{"--augmentation: found none, but vicreg compares two augmented views"},
		"train", "--data", "flat", "--backbone", "tiny.toml", "--objective", "vicreg", "--augmentation", "none")
	toolFails(t, failure, []string{"not a data set of a known format"}, "train", "--data", "flat", "--backbone", "tiny.toml", "--objective", "n-pair")
}
