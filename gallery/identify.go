package gallery

import (
	"context"
	"image"

	"github.com/pkg/errors"
)

// Candidate is a possible class of an image.
type Candidate struct {
	Class string
	// Distance is the distance between the image and the class by the gallery's rule.
	Distance float64
	// Example is the nearest example of the class; empty with the rule Prototype.
	Example Example
}

// DefaultCandidates is the number of candidates that likeness identify prints and the HTTP
// API returns by default.
const DefaultCandidates = 1

// Identification is the result of identifying the class of an image.
type Identification struct {
	// Candidates are the nearest classes, nearest first.
	Candidates []Candidate
	// Calibrated reports whether there is a rejection threshold, that of the gallery or
	// else of the model; Threshold and Known are meaningful only then.
	Calibrated bool
	Threshold  float64
	Known      bool // whether the distance of the nearest candidate is at most the threshold
	// Approximate reports whether the search may have missed some of the nearest classes.
	// That of a gallery in a file is exact: it is false. In PostgreSQL it is true with an index.
	Approximate bool
	// Incomplete reports whether the index gave fewer candidates than requested although the
	// gallery has more classes, which is possible in PostgreSQL only.
	Incomplete bool
	// Set has the classes of which the image may be; nil unless it was requested, see
	// IdentifySets.
	Set *CandidateSet
}

// Class returns the class of the image; "" if the image is of no known class or if there
// is no threshold.
func (i Identification) Class() string {
	if !i.Calibrated || !i.Known || len(i.Candidates) == 0 {
		return ""
	}
	return i.Candidates[0].Class
}

// Identify finds the k nearest classes of an image, or all if there are fewer, and decides
// whether it is of the nearest class or unknown.
func (g *Gallery) Identify(img image.Image, k int) (Identification, error) {
	all, err := g.IdentifyAll([]image.Image{img}, k)
	if err != nil {
		return Identification{}, err
	}
	return all[0], nil
}

// IdentifyAll is Identify for several images, which takes less time for each image.
func (g *Gallery) IdentifyAll(images []image.Image, k int) ([]Identification, error) {
	all, err := g.identify(images, k)
	return all, g.wrap(err, "identify")
}

func (g *Gallery) identify(images []image.Image, k int) ([]Identification, error) {
	if k < 1 {
		return nil, errors.Errorf("found %d candidates, expected at least 1", k)
	}
	embeddings, err := g.embed(images)
	if err != nil {
		return nil, err
	}
	return g.Request(context.Background(), "").identify(embeddings, k)
}

// VerifyResult is the result of verifying whether an image is of a claimed class.
type VerifyResult struct {
	Candidate // the claimed class
	// Calibrated reports whether there is a threshold, that of the gallery or else of the
	// model; Threshold and Same are meaningful only then.
	Calibrated bool
	Threshold  float64
	Same       bool // whether the distance is at most the threshold
}

// Verify compares an image with one class. The error wraps ErrUnknownClass if there is no
// class of that name.
func (g *Gallery) Verify(class string, img image.Image) (VerifyResult, error) {
	v, err := g.verify(class, img)
	return v, g.wrap(err, "verify")
}

func (g *Gallery) verify(class string, img image.Image) (v VerifyResult, err error) {
	embeddings, err := g.embed([]image.Image{img})
	if err != nil {
		return v, err
	}
	return g.Request(context.Background(), "").verify(class, embeddings[0])
}

// Index builds an index of a gallery in PostgreSQL, by the parameters of its URI. Later
// searches use it: they take less time and may miss some of the nearest classes. Examples that
// are enrolled afterwards are in it, too. It takes seconds to minutes, during which other
// processes can search and enroll.
//
// It is an error for a gallery in a file, which is searched exactly, for a distance that
// pgvector has no operator for, such as a weighted one with a negative weight, for more
// features than an index can have, for the rule Prototype, and if the context ends.
func (g *Gallery) Index(ctx context.Context) error {
	switch {
	case ctx == nil:
		return g.wrap(errNoContext, "index")
	case !g.isOpen():
		return g.wrap(errNotOpened, "index")
	}
	return g.wrap(g.backend.index(ctx), "index")
}
