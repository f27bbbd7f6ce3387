package serve

import (
	"net/http"

	"github.com/likeness-go/likeness/gallery"
)

// classes is the answer of GET /v1/classes.
type classes struct {
	Classes   []class  `json:"classes"` // in alphabetical order
	Examples  int      `json:"examples"`
	Rule      string   `json:"rule"`
	Threshold *float64 `json:"threshold"` // null if there is none
}

type class struct {
	Name     string `json:"name"`
	Examples int    `json:"examples"`
}

func (s *Server) classes(*http.Request, body) (any, error) {
	g, err := s.needGallery()
	if err != nil {
		return nil, err
	}
	answer := classes{Classes: []class{}, Rule: string(g.Rule()), Threshold: s.threshold(g)}
	for _, c := range g.Classes() {
		answer.Classes = append(answer.Classes, class{c.Name, c.Examples})
		answer.Examples += c.Examples
	}
	return answer, nil
}

// threshold is the one that the gallery decides by.
func (s *Server) threshold(g *gallery.Gallery) *float64 {
	if calibration, calibrated := g.Calibration(); calibrated {
		return &calibration.Threshold
	}
	return s.model.Threshold
}

// forgotten is the answer of DELETE /v1/classes/{name}.
type forgotten struct {
	Class    string `json:"class"`
	Examples int    `json:"examples"` // that it had
}

func (s *Server) forget(r *http.Request, _ body) (any, error) {
	g, err := s.needGallery()
	if err != nil {
		return nil, err
	}
	name := r.PathValue("name")
	examples, err := g.Forget(name)
	if err != nil {
		return nil, err
	}
	return forgotten{Class: name, Examples: examples}, nil
}

// health is the answer of /healthz.
type health struct {
	Status string `json:"status"` // "ok"
}

func (s *Server) health(http.ResponseWriter, *http.Request) (any, error) {
	if s.closing.Load() {
		return nil, errClosed
	}
	return health{"ok"}, nil
}
