package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/pkg/errors"
)

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
		return "", errors.New("there is no model in runs: make one with likeness train, or name one with --model FILE")
	}
	return newest, nil
}

// loadModel loads the model that a path means, and says which if it means none.
func loadModel(c *console, path string) (*likeness.Model, string, error) {
	file, err := findModel(path)
	if err != nil {
		return nil, "", err
	}
	if path == "" {
		c.say("model        %s, the newest", file)
	}
	model, err := likeness.Load(file)
	return model, file, err
}
