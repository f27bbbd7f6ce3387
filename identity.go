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

// Identity identifies the model that computed an embedding. Distances are meaningful only
// between embeddings of the same identity.
type Identity struct {
	// Checksum is the SHA-256, in hexadecimal, of everything that determines an embedding
	// and a distance: the network, the head, the preprocessing and the weights, of a quantized
	// model its integers, but not the threshold. A user-defined backbone is represented by its weights alone.
	Checksum string       `json:"checksum"`
	Backbone string       `json:"backbone"` // its name; "own" if it is user-defined
	Head     string       `json:"head"`     // its name; with the prefix "own:" if it is user-defined
	Size     imaging.Size `json:"size"`     // to which images are resized
}

// String returns a short description, such as "conv7, 105x105x1, cosine, checksum
// 3f2ab1c4d5e6".
func (i Identity) String() string {
	return fmt.Sprintf("%s, %v, %s, checksum %.12s", i.Backbone, i.Size, i.Head, i.Checksum)
}

// Identity returns the identity of the model. It does not depend on the machine, and
// saving and loading preserve it. A user-defined head has another identity than a head of
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
	// Galleries that were made when a file had no more than the name of a user-defined
	// head keep their identity, unless that is a name of package heads.
	if name, isOwn := strings.CutPrefix(identity.Head, heads.OwnPrefix); isOwn && !slices.Contains(heads.Names, name) && !strings.HasPrefix(name, heads.OwnPrefix) {
		identity.Head, file.Metadata[headKey] = name, name
	}
	// A newer format of the file is no other model, nor is the type in which it has the
	// weights.
	for i := range file.Tensors {
		file.Tensors[i].Half = false
	}
	identity.Checksum, err = file.Checksum(formatKey, thresholdKey)
	return identity, err
}
