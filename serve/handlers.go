package serve

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/explain"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
)

// embedded is the answer of POST /v1/embed.
type embedded struct {
	Model      likeness.Identity `json:"model"` // only embeddings of the same model are comparable
	Dimensions int               `json:"dimensions"`
	Embeddings [][]float32       `json:"embeddings"` // one for each image, in order
}

func (s *Server) embed(r *http.Request, b body) (any, error) {
	embeddings, _, err := s.embeddings(r.Context(), b, "image")
	if err != nil {
		return nil, err
	}
	return embedded{Model: s.identity, Dimensions: len(embeddings[0]), Embeddings: embeddings}, nil
}

// compared is the answer of POST /v1/compare.
type compared struct {
	Distance    float64      `json:"distance"`
	Threshold   *float64     `json:"threshold"` // null if the model has none
	Same        *bool        `json:"same"`      // null if the model has no threshold
	Head        string       `json:"head"`      // name of the distance
	Explanation *explanation `json:"explanation"`
	Warnings    []string     `json:"warnings"` // images for which the model was not trained
}

func (s *Server) compare(r *http.Request, b body) (any, error) {
	embeddings, warnings, err := s.embeddings(r.Context(), b, "a", "b")
	if err != nil {
		return nil, err
	}
	answer := compared{
		Distance:    s.distance.Between(embeddings[0], embeddings[1]),
		Head:        s.distance.Name(),
		Explanation: contributionsTo(s.distance, embeddings[0], embeddings[1]),
		Warnings:    warnings,
	}
	if s.model.Threshold != nil {
		same := answer.Distance <= *s.model.Threshold
		answer.Threshold, answer.Same = s.model.Threshold, &same
	}
	return answer, nil
}

// explain answers POST /v1/explain: the maps of where two images match.
func (s *Server) explain(r *http.Request, b body) (any, error) {
	explainer, err := s.explainer()
	if errors.Is(err, explain.ErrUnsupported) {
		return nil, refuse(http.StatusConflict, "model: %v", err)
	}
	if err != nil {
		return nil, err
	}
	images := b.imagesOf("a", "b")
	if err := s.checkSizes(images); err != nil {
		return nil, err
	}
	var inputs []explain.Input
	for i, file := range images {
		in, err := decoding(s, r.Context(), func() (in explain.Input, err error) {
			defer guard.Recover(&err, "decode")
			img, err := s.open(r.Context(), file)
			if err != nil {
				return in, err
			}
			return explainer.Prepare(img)
		})
		if err != nil {
			return nil, err
		}
		images[i].content = nil // let the garbage collector free it
		inputs = append(inputs, in)
	}
	clear(b.images)
	answer, err := explainer.ExplainInputs(r.Context(), inputs[0], inputs[1])
	if err == nil && r.Context().Err() != nil { // a result after the timeout must not be used
		err = context.Cause(r.Context())
	}
	return answer, err
}

// classes is the answer of GET /v1/classes.
type classes struct {
	Classes   []class  `json:"classes"` // in alphabetical order
	Examples  int      `json:"examples"`
	Rule      string   `json:"rule"`
	Threshold *float64 `json:"threshold"` // null if there is none

	// Guarantee is null unless the threshold was chosen with a guarantee.
	Guarantee *guarantee `json:"guarantee"`
}

// guarantee is what holds of the threshold while EnrolledSince is 0.
type guarantee struct {
	Rate          float64 `json:"rate"`
	Confidence    float64 `json:"confidence"`
	Task          string  `json:"task"`
	EnrolledSince int     `json:"enrolled_since"` // number of examples enrolled after the calibration
}

type class struct {
	Name     string `json:"name"`
	Examples int    `json:"examples"`
}

func (s *Server) classes(r *http.Request, _ body) (any, error) {
	g, err := s.needGallery()
	if err != nil {
		return nil, err
	}
	request := g.Request(r.Context(), "")
	answer := classes{Classes: []class{}, Rule: string(g.Rule()), Threshold: s.model.Threshold}
	calibration, calibrated, err := request.Calibration()
	if err != nil {
		return nil, err
	}
	if calibrated {
		answer.Threshold = &calibration.Threshold
	}
	if calibration.Guaranteed != nil {
		since, err := request.EnrolledSince()
		if err != nil {
			return nil, err
		}
		answer.Guarantee = &guarantee{calibration.Guaranteed.Rate, calibration.Guaranteed.Confidence, string(calibration.Guaranteed.Task), since}
	}
	all, err := request.Classes()
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		answer.Classes = append(answer.Classes, class{c.Name, c.Examples})
		answer.Examples += c.Examples
	}
	return answer, nil
}

// forgotten is the answer of DELETE /v1/classes/{name}.
type forgotten struct {
	Class    string `json:"class"`
	Examples int    `json:"examples"` // number of its deleted examples
}

func (s *Server) forget(r *http.Request, _ body) (any, error) {
	g, err := s.needGallery()
	if err != nil {
		return nil, err
	}
	name := r.PathValue("name")
	examples, err := g.Request(r.Context(), "").Forget(name)
	if err != nil {
		return nil, err
	}
	return forgotten{Class: name, Examples: examples}, nil
}

// health is the answer of GET /healthz.
type health struct {
	Status string `json:"status"` // "ok"
}

func (s *Server) health(http.ResponseWriter, *http.Request) (any, error) {
	if s.closing.Load() {
		return nil, errClosed
	}
	return health{"ok"}, nil
}

// maxCandidates is the maximum number of candidates of /v1/identify.
const maxCandidates = 100

// needGallery returns the gallery, or an error if the server has none.
func (s *Server) needGallery() (*gallery.Gallery, error) {
	if s.options.Gallery == nil {
		return nil, refuse(http.StatusConflict, "gallery: found none: start the server with --gallery FILE")
	}
	return s.options.Gallery, nil
}

// enrolled is the answer of POST /v1/enroll.
type enrolled struct {
	Class    string `json:"class"`
	Enrolled int    `json:"enrolled"` // number of examples that this request added
	Examples int    `json:"examples"` // number of examples of the class afterwards
	// Warnings are about images for which the model was not trained. They are enrolled.
	Warnings []string `json:"warnings"`
}

func (s *Server) enroll(r *http.Request, b body) (any, error) {
	g, err := s.needGallery()
	if err != nil {
		return nil, err
	}
	class, request := b.texts["class"], g.Request(r.Context(), r.Header.Get("Idempotency-Key"))
	if len(class) > maxClass {
		return nil, refuse(http.StatusBadRequest, "class: found %d bytes, expected at most %d", len(class), maxClass)
	}
	if err := request.CheckClass(class); err != nil { // before any image is decoded
		return nil, err
	}
	embeddings, warnings, err := s.embeddings(r.Context(), b, "image")
	if err != nil {
		return nil, err
	}
	examples, err := request.EnrollEmbeddings(class, embeddings...)
	return enrolled{Class: class, Enrolled: len(embeddings), Examples: examples, Warnings: warnings}, err
}

// maxClass is the maximum length in bytes of the name of a class.
const maxClass = 200

// identified is the answer of POST /v1/identify.
type identified struct {
	Results  []identification `json:"results"`  // one for each image, in order
	Warnings []string         `json:"warnings"` // images for which the model was not trained
}

type identification struct {
	Class       *string     `json:"class"`     // null if the image is of no known class or there is no threshold
	Known       *bool       `json:"known"`     // null if there is no threshold
	Threshold   *float64    `json:"threshold"` // null if there is none
	Approximate bool        `json:"approximate"`
	Incomplete  bool        `json:"incomplete"` // the index gave fewer candidates than requested
	Candidates  []candidate `json:"candidates"`
	Set         *set        `json:"set"` // null unless the request has a confidence
}

// set has the classes that cannot be excluded at a confidence.
type set struct {
	Confidence float64     `json:"confidence"`
	Distance   float64     `json:"distance"` // up to which classes are in the set
	Trials     int         `json:"trials"`   // number of classes from which the distance was found
	Candidates []candidate `json:"candidates"`
}

// candidate omits the source of the example, which may be a path on the server.
type candidate struct {
	Class    string  `json:"class"`
	Distance float64 `json:"distance"`
}

func (s *Server) identify(r *http.Request, b body) (any, error) {
	g, err := s.needGallery()
	if err != nil {
		return nil, err
	}
	k, err := b.number("candidates", gallery.DefaultCandidates)
	if err != nil {
		return nil, err
	}
	if k < 1 || k > maxCandidates {
		return nil, refuse(http.StatusBadRequest, "candidates: found %d, expected 1 to %d", k, maxCandidates)
	}
	confidence, withSet, err := b.fraction("confidence")
	if err != nil {
		return nil, err
	}
	request := g.Request(r.Context(), "")
	if withSet {
		if _, _, err := request.SetDistance(confidence); errors.Is(err, gallery.ErrUncalibrated) || errors.Is(err, evaluate.ErrTooFewTrials) {
			return nil, refuse(http.StatusConflict, "confidence: %v", withoutPath(err, g))
		} else if err != nil {
			return nil, err
		}
	}
	empty, err := request.Empty()
	if err != nil {
		return nil, err
	}
	if empty {
		return nil, refuse(http.StatusConflict, "gallery: found no classes, expected at least one: enroll images first")
	}
	embeddings, warnings, err := s.embeddings(r.Context(), b, "image")
	if err != nil {
		return nil, err
	}
	var found []gallery.Identification
	if withSet {
		found, err = request.IdentifyEmbeddingsSets(embeddings, k, confidence)
	} else {
		found, err = request.IdentifyEmbeddings(embeddings, k)
	}
	if err != nil {
		return nil, err
	}
	answer := identified{Results: make([]identification, len(found)), Warnings: warnings}
	for i := range found {
		answer.Results[i] = identificationOf(found[i])
	}
	return answer, nil
}

func identificationOf(found gallery.Identification) identification {
	answer := identification{Approximate: found.Approximate, Incomplete: found.Incomplete}
	if found.Calibrated {
		answer.Threshold, answer.Known = &found.Threshold, &found.Known
	}
	if class := found.Class(); class != "" {
		answer.Class = &class
	}
	answer.Candidates = candidatesOf(found.Candidates)
	if found.Set != nil {
		answer.Set = &set{found.Set.Confidence, found.Set.Distance, found.Set.Trials, candidatesOf(found.Set.Candidates)}
	}
	return answer
}

func candidatesOf(found []gallery.Candidate) []candidate {
	candidates := make([]candidate, len(found))
	for i, c := range found {
		candidates[i] = candidate{c.Class, c.Distance}
	}
	return candidates
}

// withoutPath returns the text of an error of the gallery without its path, which a client
// must not learn.
func withoutPath(err error, g *gallery.Gallery) string {
	return strings.TrimPrefix(err.Error(), "gallery "+g.Path()+": candidate set: ")
}

// verified is the answer of POST /v1/verify.
type verified struct {
	Class     string   `json:"class"`
	Distance  float64  `json:"distance"`
	Threshold *float64 `json:"threshold"` // null if there is none
	Same      *bool    `json:"same"`      // null if there is no threshold
	Warnings  []string `json:"warnings"`  // images for which the model was not trained
}

func (s *Server) verify(r *http.Request, b body) (any, error) {
	g, err := s.needGallery()
	if err != nil {
		return nil, err
	}
	embeddings, warnings, err := s.embeddings(r.Context(), b, "image")
	if err != nil {
		return nil, err
	}
	found, err := g.Request(r.Context(), "").VerifyEmbedding(b.texts["class"], embeddings[0])
	if err != nil {
		return nil, err
	}
	answer := verified{Class: found.Class, Distance: found.Distance, Warnings: warnings}
	if found.Calibrated {
		answer.Threshold, answer.Same = &found.Threshold, &found.Same
	}
	return answer, nil
}

// explanation lists the contributions of the embeddings' dimensions to a distance. It is
// null for a distance that is not a sum over dimensions.
type explanation struct {
	Formula    string  `json:"formula"`    // contribution of dimension j
	AddsUpTo   string  `json:"adds_up_to"` // what the sum of contributions is: "distance" or "squared distance"
	Total      float64 `json:"total"`      // sum over all dimensions
	Dimensions int     `json:"dimensions"` // length of an embedding
	Rest       float64 `json:"rest"`       // sum over the dimensions that are not listed
	Deciding   []share `json:"deciding"`   // the contributions of the largest magnitude, in descending order
}

// share is the contribution of one dimension. It is negative if the dimension reduces
// the distance, which is possible for the cosine distance and for negative weights.
type share struct {
	Dimension    int     `json:"dimension"` // index from 0
	Contribution float64 `json:"contribution"`
	Share        float64 `json:"share"` // contribution / total; 0 if the total is 0
}

// maxDeciding is the maximum number of dimensions in an explanation.
const maxDeciding = 10

// contributionsTo lists the largest contributions to a distance, from its form; nil if it has
// none. For a square root they are contributions to the square, because the distance
// itself is not a sum.
func contributionsTo(distance heads.Distance, x, y []float32) *explanation {
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
				return each // the head defines the cosine with a zero vector as 0
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
	for _, s := range e.Deciding[min(maxDeciding, len(x)):] {
		e.Rest += s.Contribution
	}
	e.Deciding = e.Deciding[:min(maxDeciding, len(x))]
	for i := range e.Deciding {
		if e.Total != 0 {
			e.Deciding[i].Share = e.Deciding[i].Contribution / e.Total
		}
	}
	return e
}

// length is the Euclidean norm.
func length(x []float32) float64 {
	var squares float64
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	return math.Sqrt(squares)
}
