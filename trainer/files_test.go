package trainer_test

import (
	"context"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// writeClasses writes the images of a dataset as PNG files in class folders.
func writeClasses(t *testing.T, folder string, d *datasets.Dataset) {
	t.Helper()
	for i, pixels := range d.Images {
		gray := &image.Gray{Pix: pixels, Stride: d.Size.Width, Rect: image.Rect(0, 0, d.Size.Width, d.Size.Height)}
		// The order of the names is that of the numbers.
		testutil.Write(t, filepath.Join(folder, fmt.Sprintf("%03d", d.Labels[i]), fmt.Sprintf("%04d.png", i)), string(testutil.PNG(gray)))
	}
}

// openClasses reads class folders through a cache of so many bytes.
func openClasses(t *testing.T, folder string, memory int64) *datasets.Dataset {
	t.Helper()
	splits, err := datasets.Open(folder, datasets.Options{Stream: true, Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	return splits.Train
}

// ofFiles is remembering with its images in files: those of seen and unseen.
func ofFiles(t *testing.T, folder, checkpoint string, memory int64) *trainer.Trainer {
	t.Helper()
	training := remembering(t, checkpoint)
	training.Images = openClasses(t, filepath.Join(folder, "seen"), memory)
	var err error
	if training.Validate, err = trainer.Verification(openClasses(t, filepath.Join(folder, "unseen"), memory), 100, 1); err != nil {
		t.Fatal(err)
	}
	return training
}

func writeSeenAndUnseen(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	writeClasses(t, filepath.Join(folder, "seen"), seen)
	writeClasses(t, filepath.Join(folder, "unseen"), unseen)
	return folder
}

// interrupted runs a training until a step.
func interrupted(t *testing.T, training *trainer.Trainer, last int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	training.OnStep = func(step trainer.Step) {
		if step.Number == last {
			cancel()
		}
	}
	if _, err := training.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// A training from files comes to the weights and figures of one in memory, bit for bit,
// whatever the cache keeps and however many threads there are, and so does one that is
// resumed with another cache.
func TestFilesTrainAsInMemory(t *testing.T) {
	folder := writeSeenAndUnseen(t)
	whole := remembering(t, "")
	want := run(t, whole)
	defer parallel.SetThreads(parallel.Threads())
	for _, memory := range []int64{1, 5000, math.MaxInt64} {
		parallel.SetThreads(1 + int(memory)%3)
		training := ofFiles(t, folder, "", memory)
		got := run(t, training)
		if diff := cmp.Diff(values(whole.Model), values(training.Model)); diff != "" {
			t.Errorf("memory %d (-in memory +files):\n%s", memory, diff)
		}
		if diff := cmp.Diff(want.Epochs, got.Epochs, timeless); diff != "" {
			t.Errorf("memory %d (-in memory +files):\n%s", memory, diff)
		}
	}
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	interrupted(t, ofFiles(t, folder, checkpoint, math.MaxInt64), 7)
	// The folder may have moved.
	if err := os.Rename(filepath.Join(folder, "seen"), filepath.Join(folder, "moved")); err != nil {
		t.Fatal(err)
	}
	second := ofFilesAt(t, filepath.Join(folder, "moved"), filepath.Join(folder, "unseen"), checkpoint)
	second.Resume = true
	second.OnWarning = func(message string) { t.Error("warning:", message) }
	run(t, second)
	if diff := cmp.Diff(values(whole.Model), values(second.Model)); diff != "" {
		t.Errorf("resumed (-in memory +files):\n%s", diff)
	}
}

func ofFilesAt(t *testing.T, seen, unseen, checkpoint string) *trainer.Trainer {
	t.Helper()
	training := remembering(t, checkpoint)
	training.Images = openClasses(t, seen, 1)
	var err error
	if training.Validate, err = trainer.Verification(openClasses(t, unseen, 1), 100, 1); err != nil {
		t.Fatal(err)
	}
	return training
}

// A file that has changed since a training began refuses to resume it, by its name, whether
// it is one to train on or to validate by. So does one that is added.
func TestResumeRefusesChangedFiles(t *testing.T) {
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	folder := writeSeenAndUnseen(t)
	interrupted(t, ofFiles(t, folder, checkpoint, 0), 7)
	original := testutil.Read(t, folder, "seen", "003", "0040.png")
	for _, test := range []struct{ path, content, want string }{
		{"seen/003/0040.png", testutil.Read(t, folder, "seen", "003", "0041.png"), "images: " + filepath.Join(folder, "seen", "003", "0040.png") + " has changed since the training began (1 of 288 files have)"},
		{"unseen/000/0002.png", original, "validation: " + filepath.Join(folder, "unseen", "000", "0002.png") + " has changed"},
		{"seen/003/9999.png", original, "images: found 288 files of digest"},
	} {
		path := filepath.Join(folder, filepath.FromSlash(test.path))
		before, err := os.ReadFile(path)
		existed := err == nil
		testutil.Write(t, path, test.content)
		training := ofFiles(t, folder, checkpoint, 0)
		training.Resume = true
		_, err = training.Run(context.Background())
		expectMessage(t, test.path, err, test.want)
		if !errors.Is(err, trainer.ErrOtherTraining) {
			t.Errorf("%s: found %v, expected ErrOtherTraining", test.path, err)
		}
		if existed {
			testutil.Write(t, path, string(before))
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	// A file that changes while a training runs stops it.
	training := ofFiles(t, folder, "", 1)
	for i := 36; i < 48; i++ { // a whole class, so that one of them is read in the first steps
		testutil.Write(t, filepath.Join(folder, "seen", "003", fmt.Sprintf("%04d.png", i)), original)
	}
	if _, err := training.Run(context.Background()); !errors.Is(err, datasets.ErrChanged) {
		t.Errorf("found %v, expected ErrChanged", err)
	}
}

// A checkpoint of a program that held all images in memory is resumed from files with the
// same pixels, and from no others.
func TestResumeFromFilesWhatBeganInMemory(t *testing.T) {
	checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	folder := writeSeenAndUnseen(t)
	whole := remembering(t, "")
	run(t, whole)
	first := remembering(t, checkpoint)
	named := *seen // as the folders name the classes
	named.Classes = nil
	for class := range seen.Classes {
		named.Classes = append(named.Classes, fmt.Sprintf("%03d", class))
	}
	first.Images = &named
	validated := *unseen
	validated.Classes = named.Classes[:len(unseen.Classes)]
	var err error
	if first.Validate, err = trainer.Verification(&validated, 100, 1); err != nil {
		t.Fatal(err)
	}
	interrupted(t, first, 7)
	second := ofFiles(t, folder, checkpoint, 1)
	second.Resume = true
	run(t, second)
	if diff := cmp.Diff(values(whole.Model), values(second.Model)); diff != "" {
		t.Error(diff)
	}
	interrupted(t, func() *trainer.Trainer { first.Checkpoint = checkpoint + "2"; return first }(), 7)
	testutil.Write(t, filepath.Join(folder, "seen", "000", "0000.png"), testutil.Read(t, folder, "seen", "000", "0001.png"))
	third := ofFiles(t, folder, checkpoint+"2", 1)
	third.Resume = true
	_, err = third.Run(context.Background())
	expectMessage(t, "other pixels", err, "images: found 288 of digest")
}

// A checkpoint of another version of Go is resumed with a warning, also by those that come
// after; one of the same version with other corrections is not, and neither is one of an
// earlier version of this package, which recorded none.
func TestResumeWarnsOfAnotherGo(t *testing.T) {
	here := runtime.Version()
	corrected := strings.Join(append(strings.SplitN(here, ".", 3)[:2], "99"), ".") // go1.26.99 of go1.26.1
	for recorded, warns := range map[string]bool{"": false, here: false, corrected: false, "go1.3": true, "devel go1.4-abc": true, "go1.3, " + here: true} {
		checkpoint := filepath.Join(t.TempDir(), "checkpoint.safetensors")
		interrupted(t, remembering(t, checkpoint), 7)
		file, err := safetensors.ReadFile(checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		if file.Metadata["likeness.go"] != here {
			t.Fatalf("the checkpoint records %q, expected %s", file.Metadata["likeness.go"], here)
		}
		if file.Metadata["likeness.go"] = recorded; recorded == "" {
			delete(file.Metadata, "likeness.go")
		}
		if err := file.Seal(); err != nil {
			t.Fatal(err)
		}
		if err := safetensors.WriteFile(checkpoint, file); err != nil {
			t.Fatal(err)
		}
		second := remembering(t, checkpoint)
		second.Resume = true
		var warnings []string
		second.OnWarning = func(message string) { warnings = append(warnings, message) }
		interrupted(t, second, 8)
		found := slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "another version of Go") })
		if found != warns || len(warnings) > 1 {
			t.Errorf("%q: found the warnings %q, expected one: %v", recorded, warnings, warns)
		}
		if file, err = safetensors.ReadFile(checkpoint); err != nil {
			t.Fatal(err)
		}
		if kept := file.Metadata["likeness.go"]; !strings.HasPrefix(kept, recorded) || !strings.Contains(kept, here) {
			t.Errorf("resumed from %q, the checkpoint records %q, expected both versions", recorded, kept)
		}
	}
}

// Training on more images than fit into the cache needs little more memory than the cache:
// of 20,000 files of 64 × 64 pixels, whose pixels take 80 MB, at most 8 MiB are kept.
func TestMemoryOfFiles(t *testing.T) {
	const files, classes, memory = 20_000, 200, 8 << 20
	side := imaging.Size{Height: 64, Width: 64, Channels: 1}
	folder := t.TempDir()
	var originals []string
	for i := range 50 {
		gray := testutil.Steps(side.Width, side.Height)
		for j := range gray.Pix {
			gray.Pix[j] += uint8(i * (j / 64))
		}
		path := filepath.Join(folder, "originals", fmt.Sprintf("%d.png", i)) // gray PNG files are decoded fast
		testutil.Write(t, path, string(testutil.PNG(gray)))
		originals = append(originals, path)
	}
	references := make([]datasets.Reference, files)
	names := make([]string, classes)
	for class := range names {
		names[class] = fmt.Sprintf("%03d", class)
		if err := os.MkdirAll(filepath.Join(folder, "data", names[class]), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for i := range references {
		references[i] = datasets.Reference{Path: filepath.Join(folder, "data", names[i%classes], fmt.Sprintf("%05d.png", i)), Class: i % classes}
		if err := os.Link(originals[i%len(originals)], references[i].Path); err != nil {
			t.Skipf("the file system has no hard links: %v", err)
		}
	}
	images, err := datasets.NewFiles(references, names, imaging.Preprocessing{Size: side}, memory)
	if err != nil {
		t.Fatal(err)
	}
	before, peak := heap(), uint64(0)
	// All images are read once.
	mean, deviation, err := datasets.Moments(images)
	if err != nil {
		t.Fatal(err)
	}
	peak = max(peak, heap())
	network := tiny()
	network.Size = side
	model, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: side, Mean: mean, StdDev: deviation}, 1)
	if err != nil {
		t.Fatal(err)
	}
	training := &trainer.Trainer{
		Model: model, Loss: objectives.Contrastive{Margin: 1}, Images: images, Batch: 32,
		Solver: solver.Config{Solver: "adam", LearningRate: 1e-3}, Epochs: 1, EpochSteps: 20, Seed: 1,
		OnStep: func(step trainer.Step) {
			if step.Number%5 == 0 {
				peak = max(peak, heap())
			}
		},
	}
	run(t, training)
	// What is known of each file, the batches and the network come to some 15 MB.
	used, all := float64(peak-before)/(1<<20), float64(files*side.Len())/(1<<20)
	t.Logf("the heap grew by %.1f MiB", used)
	if limit := all / 2; used > limit {
		t.Errorf("the heap grew by %.0f MiB, expected at most %.0f of the %.0f MiB of all pixels", used, limit, all)
	}
	if used < memory/(1<<20) {
		t.Errorf("the heap grew by %.1f MiB, expected at least the cache of %d", used, memory>>20)
	}
	runtime.KeepAlive(images)
}

// heap is the number of bytes that are in use on the heap.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
