package likeness

import (
	"fmt"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Identity says which model embeddings are of. Distances mean something between
// embeddings of one identity only.
type Identity struct {
	// Checksum is the SHA-256, in hexadecimal, of all that determines an
	// embedding and a distance: the network, the head, the preprocessing and the
	// weights. The threshold is none of them, and of a backbone that is a Go type
	// of the user's own the weights alone count.
	Checksum string       `json:"checksum"`
	Backbone string       `json:"backbone"` // its name; "own" for a Go type of the user's own
	Head     string       `json:"head"`
	Size     imaging.Size `json:"size"` // that images are brought to
}

// String is short and for people: "conv7, 105x105x1, cosine, checksum 3f2ab1c4d5e6".
func (i Identity) String() string {
	return fmt.Sprintf("%s, %v, %s, checksum %.12s", i.Backbone, i.Size, i.Head, i.Checksum)
}

// Identity is the model's, the same wherever and however often it is loaded.
func (m *Model) Identity() (Identity, error) {
	identity := Identity{Backbone: ownBackbone, Head: m.Head.Name(), Size: m.Preprocessing.Size}
	if network, ok := m.Backbone.(backbone.Network); ok {
		identity.Backbone = network.Name
	}
	file, err := m.content()
	if err != nil {
		return Identity{}, errors.Wrap(err, "identify model")
	}
	// A newer format of the file is no other model.
	identity.Checksum, err = file.Checksum(formatKey, thresholdKey)
	return identity, errors.Wrap(err, "identify model")
}
