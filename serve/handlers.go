package serve

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"slices"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
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
		Head:        s.distance.Name(),
		Explanation: explain(s.distance, embeddings[0], embeddings[1]),
	}
	if s.model.Threshold != nil {
		same := answer.Distance <= *s.model.Threshold
		answer.Threshold, answer.Same = s.model.Threshold, &same
	}
	return answer, nil
}

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

// explanation says why a distance is what it is: what each dimension of the two
// embeddings adds to it. Null for a distance that is no sum of dimensions.
type explanation struct {
	Formula    string  `json:"formula"`    // of the contribution of dimension j
	AddsUpTo   string  `json:"adds_up_to"` // "distance" or "squared distance"
	Total      float64 `json:"total"`      // of all dimensions
	Dimensions int     `json:"dimensions"` // of an embedding
	Rest       float64 `json:"rest"`       // what those add that are not listed
	Deciding   []share `json:"deciding"`   // the largest, by magnitude, in descending order
}

// share is what one dimension adds. It is below zero where a dimension makes the
// images more alike: under cosine, and where a signed weight is negative.
type share struct {
	Dimension    int     `json:"dimension"` // from 0
	Contribution float64 `json:"contribution"`
	Share        float64 `json:"share"` // of the total; 0 where that is 0
}

// mostDeciding is how many dimensions are listed.
const mostDeciding = 10

// explain lists the dimensions with the largest contributions, by the form of the
// distance; nil where it has none. Of a square root they are those of its square,
// which is a sum.
func explain(distance heads.Distance, x, y []float32) *explanation {
	e := &explanation{AddsUpTo: "distance", Dimensions: len(x)}
	var term func(j int, x, y float64) float64
	form, known := distance.Form()
	if !known {
		return nil
	}
	if form.Root {
		e.AddsUpTo = "squared distance"
	}
	scale := form.Scale
	switch {
	case form.Normalize:
		e.Formula, scale = "1/D − xⱼyⱼ/(‖x‖‖y‖)", 2*scale
		lengths, each := length(x)*length(y), 1/float64(len(x))
		term = func(_ int, x, y float64) float64 {
			if lengths == 0 {
				return each // the cosine with the zero vector is taken to be 0
			}
			return each - x*y/lengths
		}
	case form.Power == 2:
		e.Formula = "(xⱼ − yⱼ)²"
		term = func(_ int, x, y float64) float64 { return (x - y) * (x - y) }
	default:
		e.Formula = "|xⱼ − yⱼ|"
		term = func(_ int, x, y float64) float64 { return math.Abs(x - y) }
	}
	if form.Weights != nil {
		unweighted := term
		e.Formula = "wⱼ" + e.Formula
		term = func(j int, x, y float64) float64 { return float64(form.Weights[j]) * unweighted(j, x, y) }
	}
	if scale != 1 {
		unscaled := term
		e.Formula = fmt.Sprintf("%v·(%s)", scale, e.Formula)
		term = func(j int, x, y float64) float64 { return scale * unscaled(j, x, y) }
	}
	for j := range x {
		contribution := term(j, float64(x[j]), float64(y[j]))
		e.Total += contribution
		e.Deciding = append(e.Deciding, share{Dimension: j, Contribution: contribution})
	}
	slices.SortStableFunc(e.Deciding, func(a, b share) int {
		return cmp.Compare(math.Abs(b.Contribution), math.Abs(a.Contribution))
	})
	for _, s := range e.Deciding[min(mostDeciding, len(x)):] {
		e.Rest += s.Contribution
	}
	e.Deciding = e.Deciding[:min(mostDeciding, len(x))]
	for i := range e.Deciding {
		if e.Total != 0 {
			e.Deciding[i].Share = e.Deciding[i].Contribution / e.Total
		}
	}
	return e
}

// length is the Euclidean one.
func length(x []float32) float64 {
	var squares float64
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	return math.Sqrt(squares)
}
