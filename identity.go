package likeness

import (
	"fmt"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
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
	Head     string       `json:"head"`     // its name; with "own:" before it where a head of package heads has the same
	Size     imaging.Size `json:"size"`     // that images are brought to
}

// String is short and for people: "conv7, 105x105x1, cosine, checksum 3f2ab1c4d5e6".
func (i Identity) String() string {
	return fmt.Sprintf("%s, %v, %s, checksum %.12s", i.Backbone, i.Size, i.Head, i.Checksum)
}

// Identity is the model's, the same wherever and however often it is loaded. A
// head that is a Go type of the user's own has another identity than a head of
// package heads of the same name.
func (m *Model) Identity() (identity Identity, err error) {
	defer func() {
		if caught(recover(), &err); err != nil {
			identity, err = Identity{}, errors.Wrap(err, "identify model")
		}
	}()
	if err := m.check(); err != nil {
		return identity, err
	}
	identity = Identity{Backbone: ownBackbone, Head: heads.Identifier(m.Head), Size: m.Preprocessing.Size}
	if network, ok := m.Backbone.(backbone.Network); ok {
		identity.Backbone = network.Name
	}
	file, err := m.content()
	if err != nil {
		return identity, err
	}
	// Galleries that were made when a file had no more than the name of a head of
	// the user's own keep their identity, unless that is a name of package heads.
	if name, isOwn := strings.CutPrefix(identity.Head, heads.OwnPrefix); isOwn && !slices.Contains(heads.Names, name) && !strings.HasPrefix(name, heads.OwnPrefix) {
		identity.Head, file.Metadata[headKey] = name, name
	}
	// A newer format of the file is no other model.
	identity.Checksum, err = file.Checksum(formatKey, thresholdKey)
	return identity, err
}
