package zoo

import (
	"embed"
	"io/fs"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/wording"
)

//go:embed *.safetensors *.LICENSE *.NOTICE
var files embed.FS

const modelSuffix = ".safetensors"

// Default is the name of the model for drawings, which is used if none is chosen and the
// images do not decide; see Choose.
const Default = "omniglot"

// Names returns the names of the models in alphabetical order.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil // the root of an embed.FS always exists
	}
	var names []string
	for _, entry := range entries {
		if name, found := strings.CutSuffix(entry.Name(), modelSuffix); found {
			names = append(names, name)
		}
	}
	return names
}

// Load returns the model with the given name. Each call returns a new Model. An unknown
// name is an error that suggests the most similar one.
func Load(name string) (*likeness.Model, error) {
	data, source, err := read(name)
	if err != nil {
		return nil, err
	}
	return likeness.Read(data, source)
}

// Preprocessing returns that of the model with the given name, without loading the model. An
// unknown name is an error that suggests the most similar one.
func Preprocessing(name string) (imaging.Preprocessing, error) {
	data, source, err := read(name)
	if err != nil {
		return imaging.Preprocessing{}, err
	}
	return likeness.ReadPreprocessing(data, source)
}

// read returns the file of a model, and what errors call it.
func read(name string) (data []byte, source string, err error) {
	if data, err = files.ReadFile(name + modelSuffix); err != nil {
		return nil, "", wording.Unknown("model", name, Names())
	}
	return data, "zoo/" + name + modelSuffix, nil
}

// License returns the notice and the license of a model whose weights others have published;
// it is empty for the models that this project trained, which are under its own license. An
// unknown name is an error that suggests the most similar one.
func License(name string) (string, error) {
	if _, err := fs.Stat(files, name+modelSuffix); err != nil {
		return "", wording.Unknown("model", name, Names())
	}
	var texts []string
	for _, suffix := range []string{".NOTICE", ".LICENSE"} {
		if text, err := files.ReadFile(name + suffix); err == nil {
			texts = append(texts, string(text))
		}
	}
	return strings.Join(texts, "\n"), nil
}
