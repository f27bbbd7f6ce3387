package gallery

import "github.com/pkg/errors"

// Who embeds images himself, such as a server that puts those of several requests
// into one batch, hands over the embeddings. They must be of the gallery's model,
// as Model.Embed and Model.EmbedPixels give them; the gallery can tell no more
// than that they have as many features and are finite.

// EnrollEmbeddings is Enroll for images that are embedded already, a row each.
func (g *Gallery) EnrollEmbeddings(class string, embeddings ...[]float32) error {
	if len(embeddings) == 0 {
		return g.wrap(errors.Errorf("class %q: found no embeddings", class), "enroll")
	}
	return g.wrap(g.enrollEmbeddings(class, embeddings), "enroll")
}

// IdentifyEmbeddings is IdentifyAll for images that are embedded already.
func (g *Gallery) IdentifyEmbeddings(embeddings [][]float32, k int) ([]Identification, error) {
	if k < 1 {
		return nil, g.wrap(errors.Errorf("%d candidates, expected at least one", k), "identify")
	}
	all, err := g.identifyEmbeddings(embeddings, k)
	return all, g.wrap(err, "identify")
}

// VerifyEmbedding is Verify for an image that is embedded already.
func (g *Gallery) VerifyEmbedding(class string, embedding []float32) (Verification, error) {
	if err := g.checkEmbedding(embedding); err != nil {
		return Verification{}, g.wrap(err, "verify")
	}
	v, err := g.verifyEmbedding(class, embedding)
	return v, g.wrap(err, "verify")
}

func (g *Gallery) checkEmbedding(embedding []float32) error {
	if !g.isOpen() {
		return errNotOpened
	}
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.contents.vectors.Check(embedding)
}
