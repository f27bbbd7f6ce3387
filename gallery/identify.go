package gallery

import (
	"image"

	"github.com/likeness-go/likeness/gallery/index"
	"github.com/pkg/errors"
)

// Candidate is a class that an image may be of.
type Candidate struct {
	Class string
	// Distance is the image's from the class by the gallery's rule.
	Distance float64
	// Example is the nearest of the class; with the rule Prototype it is empty,
	// as none is nearest.
	Example Example
}

// Identification is which class an image is of.
type Identification struct {
	// Candidates are the nearest classes, the nearest first.
	Candidates []Candidate
	// Calibrated says whether there is a threshold, the gallery's or else the
	// model's; Threshold and Known mean something only then.
	Calibrated bool
	Threshold  float64
	Known      bool // the nearest candidate's distance is at most the threshold
	// Approximate says that an index was asked, which finds most of the nearest
	// and not always all.
	Approximate bool
}

// Class is the class that the image is of; empty if it is of none that is known,
// or if nothing is decided for want of a threshold.
func (i Identification) Class() string {
	if !i.Calibrated || !i.Known || len(i.Candidates) == 0 {
		return ""
	}
	return i.Candidates[0].Class
}

// Identify finds the k classes that are nearest to an image, fewer where there
// are not so many, and says whether it is of the nearest one or of none.
func (g *Gallery) Identify(img image.Image, k int) (Identification, error) {
	all, err := g.IdentifyAll([]image.Image{img}, k)
	if err != nil {
		return Identification{}, err
	}
	return all[0], nil
}

// IdentifyAll is Identify for several images, which takes less time for each.
func (g *Gallery) IdentifyAll(images []image.Image, k int) ([]Identification, error) {
	all, err := g.identify(images, k)
	return all, g.wrap(err, "identify")
}

func (g *Gallery) identify(images []image.Image, k int) ([]Identification, error) {
	if k < 1 {
		return nil, errors.Errorf("%d candidates, expected at least one", k)
	}
	embeddings, err := g.embed(images)
	if err != nil {
		return nil, err
	}
	return g.identifyEmbeddings(embeddings, k)
}

func (g *Gallery) identifyEmbeddings(embeddings [][]float32, k int) ([]Identification, error) {
	if !g.isOpen() {
		return nil, errNotOpened
	}
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	if g.closed {
		return nil, ErrClosed
	}
	found, err := g.search(embeddings, k)
	if err != nil {
		return nil, err
	}
	all := make([]Identification, len(embeddings))
	for i, neighbours := range found {
		answer := &all[i]
		answer.Approximate = g.graph != nil
		for _, neighbour := range neighbours {
			answer.Candidates = append(answer.Candidates, g.contents.candidate(neighbour))
		}
		if answer.Threshold, answer.Calibrated = g.threshold(); answer.Calibrated && len(answer.Candidates) > 0 {
			answer.Known = answer.Candidates[0].Distance <= answer.Threshold
		}
	}
	return all, nil
}

// search finds the k nearest classes of each embedding.
func (g *Gallery) search(embeddings [][]float32, k int) ([][]index.Neighbour, error) {
	vectors, classOf := g.contents.searched()
	k = max(1, min(k, len(g.contents.classes)))
	if g.graph != nil {
		return g.graph.Nearest(embeddings, k, classOf, 0)
	}
	return vectors.Nearest(embeddings, k, classOf)
}

// threshold is the distance up to which an image is of a class, if there is one.
func (g *Gallery) threshold() (float64, bool) {
	switch {
	case g.calibration != nil:
		return g.calibration.Threshold, true
	case g.model.Threshold != nil:
		return *g.model.Threshold, true
	}
	return 0, false
}

// Verification is whether an image is of the class that it is said to be of.
type Verification struct {
	Candidate // the class
	// Calibrated says whether there is a threshold, the gallery's or else the
	// model's; Threshold and Same mean something only then.
	Calibrated bool
	Threshold  float64
	Same       bool // the distance is at most the threshold
}

// Verify compares an image with one class. The error is ErrUnknownClass, wrapped,
// if there is none of that name.
func (g *Gallery) Verify(class string, img image.Image) (Verification, error) {
	v, err := g.verify(class, img)
	return v, g.wrap(err, "verify")
}

func (g *Gallery) verify(class string, img image.Image) (v Verification, err error) {
	embeddings, err := g.embed([]image.Image{img})
	if err != nil {
		return v, err
	}
	return g.verifyEmbedding(class, embeddings[0])
}

func (g *Gallery) verifyEmbedding(class string, embedding []float32) (v Verification, err error) {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	if g.closed {
		return v, ErrClosed
	}
	number, err := g.contents.number(class)
	if err != nil {
		return v, err
	}
	v.Candidate = g.contents.of(number, embedding)
	if v.Threshold, v.Calibrated = g.threshold(); v.Calibrated {
		v.Same = v.Distance <= v.Threshold
	}
	return v, nil
}
