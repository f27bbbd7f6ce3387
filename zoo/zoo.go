package zoo

import (
	"embed"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

//go:embed *.safetensors *.md
var files embed.FS

const (
	modelSuffix = ".safetensors"
	cardSuffix  = ".md"
)

// Default is the model for images of which nothing is known.
const Default = "omniglot"

// Names are the models, in alphabetical order.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil // there is always the root
	}
	var names []string
	for _, entry := range entries {
		if name, found := strings.CutSuffix(entry.Name(), modelSuffix); found {
			names = append(names, name)
		}
	}
	return names
}

// Load is the model of a name; each call gives one of its own.
func Load(name string) (*likeness.Model, error) {
	data, err := files.ReadFile(name + modelSuffix)
	if err != nil {
		return nil, wording.Unknown("model", name, Names())
	}
	return likeness.Read(data, "zoo/"+name+modelSuffix)
}

// Card is the model card in Markdown: data, protocol, figures, limits, licence.
func Card(name string) (string, error) {
	text, err := files.ReadFile(name + cardSuffix)
	if err != nil {
		return "", errors.WithMessage(wording.Unknown("model", name, Names()), "card")
	}
	return string(text), nil
}
