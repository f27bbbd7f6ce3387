package zoo

import (
	"embed"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/internal/wording"
)

//go:embed *.safetensors
var files embed.FS

const modelSuffix = ".safetensors"

// Default is the name of the model that is used if none is chosen.
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
	data, err := files.ReadFile(name + modelSuffix)
	if err != nil {
		return nil, wording.Unknown("model", name, Names())
	}
	return likeness.Read(data, "zoo/"+name+modelSuffix)
}
