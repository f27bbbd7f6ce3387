package serve

import (
	"net/http"

	"github.com/likeness-go/likeness"
)

// embedded is the answer of /v1/embed.
type embedded struct {
	Model      likeness.Identity `json:"model"` // embeddings of one model alone can be compared
	Dimensions int               `json:"dimensions"`
	Embeddings [][]float32       `json:"embeddings"` // one an image, in order
}

func (s *Server) embed(r *http.Request, b body) (any, error) {
	embeddings, err := s.embeddings(r.Context(), b, "image")
	if err != nil {
		return nil, err
	}
	return embedded{Model: s.identity, Dimensions: len(embeddings[0]), Embeddings: embeddings}, nil
}

// compared is the answer of /v1/compare.
type compared struct {
	Distance    float64      `json:"distance"`
	Threshold   *float64     `json:"threshold"` // null if the model has none
	Same        *bool        `json:"same"`      // null if the model has no threshold
	Head        string       `json:"head"`      // which distance it is
	Explanation *explanation `json:"explanation"`
}

func (s *Server) compare(r *http.Request, b body) (any, error) {
	embeddings, err := s.embeddings(r.Context(), b, "a", "b")
	if err != nil {
		return nil, err
	}
	answer := compared{
		Distance:    s.distance.Between(embeddings[0], embeddings[1]),
		Head:        s.distance.Head,
		Explanation: explain(s.distance, embeddings[0], embeddings[1]),
	}
	if s.model.Threshold != nil {
		same := answer.Distance <= *s.model.Threshold
		answer.Threshold, answer.Same = s.model.Threshold, &same
	}
	return answer, nil
}
