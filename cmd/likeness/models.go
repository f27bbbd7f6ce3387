package main

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/internal/nearest"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// errNoRuns says that there is no model to find.
var errNoRuns = errors.New("there is no model in runs: make one with likeness train, or name one with --model FILE")

// findModel is the model file that a path means: a file, a run folder or, where
// it is empty, the newest run in runs.
func findModel(path string) (string, error) {
	if path == "" {
		return newestModel()
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", errors.Wrap(err, "find model")
	}
	if !info.IsDir() {
		return path, nil
	}
	file := runFolder(path).model()
	if _, err := os.Stat(file); err != nil {
		return "", errors.Errorf("the folder %s has no model.safetensors: it is no run folder, or its training is not done", path)
	}
	return file, nil
}

func newestModel() (string, error) {
	files, err := filepath.Glob(runFolder(filepath.Join("runs", "*")).model())
	if err != nil {
		return "", errors.Wrap(err, "look for models")
	}
	var newest string
	var latest time.Time
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.ModTime().After(latest) {
			newest, latest = file, info.ModTime()
		}
	}
	if newest == "" {
		return "", errNoRuns
	}
	return newest, nil
}

// loadModel loads the model that a path means, or that of the zoo with this name.
// Where it is empty that is the newest run in runs or, without runs, the zoo's
// usual one; then it says which.
func loadModel(c *console, path string) (*likeness.Model, string, error) {
	if slices.Contains(zoo.Names(), path) {
		if _, err := os.Stat(path); err != nil {
			return fromZoo(path)
		}
	}
	file, err := findModel(path)
	if errors.Is(err, errNoRuns) {
		c.say("model        %s of the zoo (--model names another, likeness train makes one)", zoo.Default)
		return fromZoo(zoo.Default)
	}
	if os.IsNotExist(errors.Cause(err)) && filepath.Base(path) == path {
		return nil, "", errors.WithMessage(nearest.Unknown("model", path, zoo.Names()), "find model: no such file")
	}
	if err != nil {
		return nil, "", err
	}
	if path == "" {
		c.say("model        %s, the newest", file)
	}
	model, err := likeness.Load(file)
	return model, file, err
}

func fromZoo(name string) (*likeness.Model, string, error) {
	model, err := zoo.Load(name)
	return model, "zoo/" + name, err
}
