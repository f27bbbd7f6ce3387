package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// findModel is the model file that a path means: a file or a run folder.
func findModel(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", errors.Wrap(err, "find model")
	}
	if !info.IsDir() {
		return path, nil
	}
	file := runFolder(path).model()
	if _, err := os.Stat(file); err != nil {
		return "", errors.Errorf("the folder %s has no model.safetensors: it is not a run folder, or its training is not done", path)
	}
	return file, nil
}

// loadModel loads the model that a path means: a file, a run folder or a model of the
// zoo by its name. Where it is empty, it is the default of the zoo, which must suit the
// images, and the console says so: never a run folder that happens to be there.
func loadModel(c *console, path string, images ...string) (*likeness.Model, string, error) {
	if path == "" {
		c.say("model        %s of the zoo (--model names another, likeness train makes one)", zoo.Default)
		return defaultModel(c, images)
	}
	if slices.Contains(zoo.Names(), path) {
		if _, err := os.Stat(path); err != nil {
			return fromZoo(path)
		}
	}
	file, err := findModel(path)
	if os.IsNotExist(errors.Cause(err)) && filepath.Base(path) == path {
		return nil, "", errors.WithMessage(wording.Unknown("model", path, zoo.Names()), "--model: no such file")
	}
	if err != nil {
		return nil, "", errors.WithMessage(err, "--model")
	}
	model, err := likeness.Load(file)
	return model, file, err
}

// defaultModel loads the default model of the zoo, which must suit the images, of which
// there may be none.
func defaultModel(c *console, images []string) (*likeness.Model, string, error) {
	model, name, err := fromZoo(zoo.Default)
	if err != nil {
		return nil, "", err
	}
	traits, err := examine(c, model, images)
	if err != nil {
		return nil, "", err
	}
	return model, name, suits(model, traits)
}

// suits refuses images that the default model is not made for.
func suits(model *likeness.Model, traits []retrieval.Traits) error {
	err := retrieval.CheckTraits(model.Preprocessing, traits)
	return errors.WithMessagef(err, "zoo/%s: name another model with --model (the zoo has %s, likeness train makes one), or --model %s to use this one all the same", zoo.Default, strings.Join(zoo.Names(), ", "), zoo.Default)
}

// examine measures some of the images, for what model they are. An image that cannot be
// opened is an error.
func examine(c *console, model *likeness.Model, images []string) ([]retrieval.Traits, error) {
	traits, err := retrieval.MeasureFiles(c, model.Preprocessing, images, mostExamined)
	if err != nil && c.Err() != nil {
		err = errInterrupted
	}
	return traits, err
}

func fromZoo(name string) (*likeness.Model, string, error) {
	model, err := zoo.Load(name)
	return model, "zoo/" + name, err
}
