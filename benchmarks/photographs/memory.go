package main

import (
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/run"
	"github.com/pkg/errors"
	"golang.org/x/image/draw"
)

const (
	memoryFiles     = 2000 // distinct files, each of which is linked many times
	memorySide      = 224  // their height and width
	memoryClasses   = 100  // to train on
	memoryUnseen    = 20   // to test on
	memoryTestFiles = 400  // of the unseen classes
	memorySteps     = 10
	memoryBatch     = 32
)

// memory trains a small network on so many photographs that their pixels do not fit into
// memory, and records the largest memory of the process. A large network would need more
// memory for its activations than the images do.
func memory(o options) error {
	start := time.Now()
	found, err := imaging.Find(o.data)
	if err != nil {
		return errors.Wrap(err, "read -data")
	}
	folder, err := os.MkdirTemp("", "memory-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := linkFiles(folder, found.Files, o.count); err != nil {
		return err
	}
	before, err := residentMemory("VmHWM")
	if err != nil {
		return err
	}
	var lines []string
	opening := time.Now()
	var opened, trained time.Duration
	observer := &run.Observer{
		Prepared: func(p run.Preparation) {
			opened = time.Since(opening)
			lines = append(append(lines, p.Data), p.Notes...)
		},
		Note: func(message string) { fmt.Fprintln(os.Stderr, message) },
	}
	result, err := run.Train(context.Background(), run.Settings{
		Data: filepath.Join(folder, "data"), Size: fmt.Sprintf("%dx%dx3", memorySide, memorySide), Backbone: "conv4", Width: 8, Objective: "batch-hard", Batch: memoryBatch,
		Epochs: 1, StepsPerEpoch: memorySteps, TestLimit: memoryTestFiles, Out: filepath.Join(folder, "run"), Memory: o.memory,
	}, observer)
	if err != nil {
		return err
	}
	trained = time.Duration(result.Training.Seconds * float64(time.Second))
	peak, err := residentMemory("VmHWM")
	if err != nil {
		return err
	}
	const gib = 1 << 30
	pixels := float64(o.count) * memorySide * memorySide * 3 / gib
	text := fmt.Sprintf("Training of conv4 with 8 filters on %d JPEG files of %d×%d pixels, made of %d pictures by repeating and\naltering them, with `--memory %s`: opening them, a validation, %d steps of %d images, and the test of %d images with its report.\n\n", o.count, memorySide, memorySide, len(found.Files), orDefault(o.memory), memorySteps, memoryBatch, memoryTestFiles)
	text += fmt.Sprintf("| | |\n|---|---|\n| pixels of all images | %.1f GiB |\n| largest resident memory of the process | **%.2f GiB** |\n| the same before the training | %.2f GiB |\n| opening, in which each file is decoded once | %.0f s |\n| %d steps | %.0f s |\n\n", pixels, peak/gib, before/gib, opened.Seconds(), memorySteps, trained.Seconds())
	text += "The training says: " + strings.ReplaceAll(strings.Join(lines, "; "), folder, "FOLDER") + ".\n\nOther programs ran at the same time, so the times are upper bounds."
	fmt.Println(text)
	if peak > 4*gib {
		return errors.Errorf("found %.2f GiB of resident memory, expected at most 4", peak/gib)
	}
	return record.Record{
		Title:   "Memory of training on 200,000 photographs",
		Command: fmt.Sprintf("go run ./benchmarks/photographs memory -data %s -count %d", filepath.Base(o.data), o.count),
		Took:    time.Since(start),
		Result:  text,
	}.WriteFile(filepath.Join(o.out, "photographs-memory.md"))
}

func orDefault(memory string) string {
	if memory == "" {
		return "1GiB"
	}
	return memory
}

// linkFiles makes the folders train and test of a data set: distinct files, and links to
// them in the folders of the classes.
func linkFiles(folder string, pictures []string, count int) error {
	originals := make([]string, min(memoryFiles, count))
	err := parallel.Each(context.Background(), 0, len(originals), func(i int) error {
		img, err := imaging.DecodeFile(pictures[i%len(pictures)])
		if err != nil {
			return err
		}
		originals[i] = filepath.Join(folder, fmt.Sprintf("%04d.jpg", i))
		return writeAltered(originals[i], img, i/len(pictures))
	})
	if err != nil {
		return err
	}
	link := func(part string, class, i int) error {
		path := filepath.Join(folder, "data", part, fmt.Sprintf("%s-%03d", part, class))
		if err := os.MkdirAll(path, 0o777); err != nil {
			return errors.Wrap(err, "link files")
		}
		return errors.Wrap(os.Link(originals[i%len(originals)], filepath.Join(path, fmt.Sprintf("%06d.jpg", i))), "link files")
	}
	for i := range count {
		if err := link("train", i%memoryClasses, i); err != nil {
			return err
		}
	}
	for i := range memoryTestFiles {
		if err := link("test", i%memoryUnseen, i); err != nil {
			return err
		}
	}
	return nil
}

// writeAltered writes a picture as a JPEG file of memorySide; another alteration shows
// another part of it.
func writeAltered(path string, img image.Image, alteration int) error {
	bounds := img.Bounds()
	part := bounds
	if margin := alteration * min(bounds.Dx(), bounds.Dy()) / 50; 2*margin < min(bounds.Dx(), bounds.Dy()) {
		part = bounds.Inset(margin)
	}
	square := image.NewRGBA(image.Rect(0, 0, memorySide, memorySide))
	draw.CatmullRom.Scale(square, square.Rect, img, part, draw.Src, nil)
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := jpeg.Encode(file, square, &jpeg.Options{Quality: 90}); err != nil {
		return err
	}
	return file.Close()
}

// residentMemory is a value of /proc/self/status in bytes: VmHWM is the largest resident
// memory that the process has had.
func residentMemory(name string) (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, errors.Wrap(err, "measure memory, which needs Linux")
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == name+":" && fields[2] == "kB" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			return kib * 1024, errors.Wrap(err, name)
		}
	}
	return 0, errors.Errorf("found no %s in /proc/self/status", name)
}
