package serve

import (
	"net/http"

	"github.com/likeness-go/likeness/gallery"
)

// maxCandidates and usualCandidates are of /v1/identify's answers.
const (
	maxCandidates   = 100
	usualCandidates = 5
)

// needGallery refuses what a server without a gallery cannot do.
func (s *Server) needGallery() (*gallery.Gallery, error) {
	if s.options.Gallery == nil {
		return nil, refuse(http.StatusConflict, "gallery: found none, expected one to enrol in: start the server with --gallery FILE")
	}
	return s.options.Gallery, nil
}

// enrolled is the answer of /v1/enroll.
type enrolled struct {
	Class    string `json:"class"`
	Enrolled int    `json:"enrolled"` // examples, by this request
	Examples int    `json:"examples"` // of the class now
}

func (s *Server) enroll(r *http.Request, b body) (any, error) {
	g, err := s.needGallery()
	if err != nil {
		return nil, err
	}
	class := b.texts["class"]
	if err := checkClass(g, class); err != nil {
		return nil, err
	}
	embeddings, err := s.embeddings(r.Context(), b, "image")
	if err != nil {
		return nil, err
	}
	if err := g.EnrollEmbeddings(class, embeddings...); err != nil {
		return nil, err
	}
	examples, err := g.Examples(class)
	return enrolled{Class: class, Enrolled: len(embeddings), Examples: len(examples)}, err
}

// maxClass is how many bytes the name of a class may have.
const maxClass = 200

// checkClass refuses names that are none for a new class, before anything is decoded.
func checkClass(g *gallery.Gallery, name string) error {
	if len(name) > maxClass {
		return refuse(http.StatusBadRequest, "class: found %d bytes, expected at most %d", len(name), maxClass)
	}
	err := gallery.CheckClassName(name)
	if err == nil {
		return nil
	}
	if _, unknown := g.Examples(name); unknown == nil { // of a gallery older than the rules
		return nil
	}
	return err
}

// identified is the answer of /v1/identify.
type identified struct {
	Results []identification `json:"results"` // one an image, in order
}

type identification struct {
	Class       *string     `json:"class"`     // null if it is unknown, or if nothing is decided
	Known       *bool       `json:"known"`     // null if nothing is decided
	Threshold   *float64    `json:"threshold"` // null if there is none
	Approximate bool        `json:"approximate"`
	Candidates  []candidate `json:"candidates"`
}

// candidate has no source, which may be a path of the server's.
type candidate struct {
	Class    string  `json:"class"`
	Distance float64 `json:"distance"`
}

func (s *Server) identify(r *http.Request, b body) (any, error) {
	g, err := s.needGallery()
	if err != nil {
		return nil, err
	}
	k, err := b.number("candidates", usualCandidates)
	if err != nil {
		return nil, err
	}
	if k < 1 || k > maxCandidates {
		return nil, refuse(http.StatusBadRequest, "candidates: found %d, expected 1 to %d", k, maxCandidates)
	}
	if g.Len() == 0 {
		return nil, refuse(http.StatusConflict, "gallery: found no classes, expected one or more: enrol first")
	}
	embeddings, err := s.embeddings(r.Context(), b, "image")
	if err != nil {
		return nil, err
	}
	found, err := g.IdentifyEmbeddings(embeddings, k)
	if err != nil {
		return nil, err
	}
	answer := identified{Results: make([]identification, len(found))}
	for i := range found {
		answer.Results[i] = identificationOf(found[i])
	}
	return answer, nil
}

func identificationOf(found gallery.Identification) identification {
	answer := identification{Approximate: found.Approximate, Candidates: []candidate{}}
	if found.Calibrated {
		answer.Threshold, answer.Known = &found.Threshold, &found.Known
	}
	if class := found.Class(); class != "" {
		answer.Class = &class
	}
	for _, c := range found.Candidates {
		answer.Candidates = append(answer.Candidates, candidate{c.Class, c.Distance})
	}
	return answer
}

// verified is the answer of /v1/verify.
type verified struct {
	Class     string   `json:"class"`
	Distance  float64  `json:"distance"`
	Threshold *float64 `json:"threshold"` // null if there is none
	Same      *bool    `json:"same"`      // null if nothing is decided
}

func (s *Server) verify(r *http.Request, b body) (any, error) {
	g, err := s.needGallery()
	if err != nil {
		return nil, err
	}
	embeddings, err := s.embeddings(r.Context(), b, "image")
	if err != nil {
		return nil, err
	}
	found, err := g.VerifyEmbedding(b.texts["class"], embeddings[0])
	if err != nil {
		return nil, err
	}
	answer := verified{Class: found.Class, Distance: found.Distance}
	if found.Calibrated {
		answer.Threshold, answer.Same = &found.Threshold, &found.Same
	}
	return answer, nil
}
