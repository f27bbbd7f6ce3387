package gallery

import (
	"encoding/json"

	"github.com/likeness-go/likeness"
	"github.com/pkg/errors"
)

// fileFormat is the version of the file that Create makes.
const fileFormat = "likeness-gallery/1"

// header is what a file says about itself.
type header struct {
	Format    string            `json:"format"`
	Identity  likeness.Identity `json:"identity"`
	ModelName string            `json:"model_name,omitempty"`
	NameBytes []byte            `json:"model_name_bytes,omitempty"` // where it is not UTF-8
	Rule      Rule              `json:"rule"`
}

func newHeader(identity likeness.Identity, o Options) header {
	return header{Format: fileFormat, Identity: identity, ModelName: o.ModelName, NameBytes: bytesOf(o.ModelName), Rule: o.Rule}
}

// parseHeader also says whether this is the header of a gallery at all.
func parseHeader(text []byte) (h header, err error) {
	if err := json.Unmarshal(text, &h); err != nil {
		return h, errors.Wrapf(ErrDamaged, "header: %v", err)
	}
	h.ModelName = textOf(h.ModelName, h.NameBytes)
	h.NameBytes = bytesOf(h.ModelName)
	if h.Format != fileFormat {
		return h, errors.Wrapf(ErrNotGallery, "header: found format %q, expected %q", h.Format, fileFormat)
	}
	if err := h.Rule.check(); err != nil {
		return h, errors.Wrapf(ErrDamaged, "header: %v", err)
	}
	return h, nil
}

// check compares the header with that of a gallery as it was asked for.
func (h header) check(own header) error {
	if h.Identity.Checksum != own.Identity.Checksum {
		return errors.Wrapf(ErrModel, "it is of the model %s, found the model %s", h.name(), own.name())
	}
	if own.Rule != "" && own.Rule != h.Rule {
		return errors.Errorf("its rule is %s, found %s: a gallery keeps the rule that it was created with", h.Rule, own.Rule)
	}
	return nil
}

// name is the model's, for people.
func (h header) name() string {
	if h.ModelName == "" {
		return "(" + h.Identity.String() + ")"
	}
	return h.ModelName + " (" + h.Identity.String() + ")"
}
