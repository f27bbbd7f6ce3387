package run

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// FindModel returns the model file of a path: the file itself, or the model.safetensors
// of a run folder.
func FindModel(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", errors.WithMessagef(errors.WithStack(err), "find model %s: expected a model.safetensors or a run folder of likeness train", path)
	}
	if !info.IsDir() {
		return path, nil
	}
	file := Folder(path).Model()
	if _, err := os.Stat(file); err != nil {
		return "", errors.Errorf("the folder %s has no model.safetensors: it is not a run folder, or its training is not finished", path)
	}
	return file, nil
}

// isBundled reports whether a path that LoadModel returned is that of a bundled model.
func isBundled(path string) bool {
	name, ofZoo := strings.CutPrefix(path, "zoo/")
	return ofZoo && slices.Contains(zoo.Names(), name)
}

// LoadModel loads the model of a file, of a run folder or, by its name with or without
// the prefix zoo/, of package zoo; an existing file or folder takes precedence. It also
// returns the path of the file, or zoo/NAME.
func LoadModel(path string) (*likeness.Model, string, error) {
	name, ofZoo := strings.CutPrefix(path, "zoo/")
	if slices.Contains(zoo.Names(), name) {
		if _, err := os.Stat(path); ofZoo || err != nil {
			model, err := zoo.Load(name)
			return model, "zoo/" + name, err
		}
	}
	file, err := FindModel(path)
	if os.IsNotExist(errors.Cause(err)) && filepath.Base(path) == path {
		return nil, "", errors.WithMessage(wording.Unknown("model", path, zoo.Names()), "no such file or folder")
	}
	if err != nil {
		return nil, "", err
	}
	model, err := likeness.Load(file)
	return model, file, err
}
