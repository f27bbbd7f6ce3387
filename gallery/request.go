package gallery

import (
	"context"
	"image"

	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
)

// Request is the use of a gallery for one request of a client, whose context limits the
// time. Methods of Gallery that take no context are those of a request without a limit.
type Request struct {
	gallery *Gallery
	ctx     context.Context
	id      string
}

// Request returns the gallery for one request. Its work ends with the context. The id, if it
// is not empty, identifies the request: of several enrollments with the same id within
// seven days only the first is done, so that a client that does not know whether its
// request was done can repeat it. An id has up to 200 visible ASCII characters.
func (g *Gallery) Request(ctx context.Context, id string) *Request {
	return &Request{g, ctx, id}
}

// open returns an error unless the request can be done.
func (r *Request) open() error {
	switch {
	case r == nil || !r.gallery.isOpen():
		return errNotOpened
	case r.ctx == nil:
		return errNoContext
	}
	return nil
}

func (r *Request) wrap(err error, doing string) error {
	if r == nil {
		return errors.Wrap(err, doing)
	}
	return r.gallery.wrap(err, doing)
}

// maxID is the maximum length of the id of a request.
const maxID = 200

func checkID(id string) error {
	if len(id) > maxID {
		return errors.Wrapf(ErrRequestID, "found %d characters, expected up to %d", len(id), maxID)
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return errors.Wrapf(ErrRequestID, "found the byte %#02x at position %d, expected visible ASCII characters", id[i], i)
		}
	}
	return nil
}

// CheckClass returns an error that wraps ErrClassName unless examples can be enrolled in a
// class of the name: one that the gallery has, or a new one; see CheckClassName.
func (r *Request) CheckClass(name string) error {
	return r.wrap(r.checkClass(name), "class")
}

func (r *Request) checkClass(name string) error {
	if err := r.open(); err != nil {
		return err
	}
	invalid := CheckClassName(name)
	if invalid == nil {
		return nil
	}
	// A gallery that is older than the rules for names may have any.
	known, err := r.gallery.backend.has(r.ctx, name)
	switch {
	case err != nil:
		return err
	case known:
		return nil
	}
	return invalid
}

// EnrollEmbeddings is Gallery.EnrollEmbeddings. It returns the number of examples of the
// class afterwards. The error wraps ErrRequestID if the request's id is invalid or was used
// to enroll in another class or to enroll another number of embeddings.
func (r *Request) EnrollEmbeddings(class string, embeddings ...[]float32) (examples int, err error) {
	if len(embeddings) == 0 {
		return 0, r.wrap(errors.Errorf("class %q: found no embeddings", class), "enroll")
	}
	examples, err = r.enroll(class, embeddings)
	return examples, r.wrap(err, "enroll")
}

func (r *Request) enroll(class string, embeddings [][]float32) (int, error) {
	records := make([]record, len(embeddings))
	for i, embedding := range embeddings {
		records[i] = record{class: class, embedding: embedding}
	}
	return r.add(records)
}

// add checks the records and adds all or none.
func (r *Request) add(records []record) (int, error) {
	if err := r.open(); err != nil {
		return 0, err
	}
	if r.gallery.options.ReadOnly {
		return 0, ErrReadOnly
	}
	if err := checkID(r.id); err != nil {
		return 0, err
	}
	enrolled, checked := now(), map[string]bool{}
	for i := range records {
		records[i].example.Time = enrolled
		if class := records[i].class; !checked[class] {
			if err := r.checkClass(class); err != nil {
				return 0, err
			}
			checked[class] = true
		}
		if err := r.gallery.backend.check(records[i].embedding); err != nil {
			return 0, errors.Wrapf(err, "class %q: image %d", records[i].class, i)
		}
	}
	return r.gallery.backend.add(r.ctx, r.id, records)
}

// IdentifyEmbeddings is Gallery.IdentifyEmbeddings.
func (r *Request) IdentifyEmbeddings(embeddings [][]float32, k int) ([]Identification, error) {
	if k < 1 {
		return nil, r.wrap(errors.Errorf("found %d candidates, expected at least 1", k), "identify")
	}
	all, err := r.identify(embeddings, k)
	return all, r.wrap(err, "identify")
}

func (r *Request) identify(embeddings [][]float32, k int) ([]Identification, error) {
	if err := r.open(); err != nil {
		return nil, err
	}
	for i, embedding := range embeddings {
		if err := r.gallery.backend.check(embedding); err != nil {
			return nil, errors.Wrapf(err, "query %d", i)
		}
	}
	found, err := r.gallery.backend.nearest(r.ctx, embeddings, k)
	if err != nil {
		return nil, err
	}
	all := make([]Identification, len(embeddings))
	threshold, calibrated := r.gallery.threshold(found.calibration)
	for i, candidates := range found.found {
		all[i] = Identification{Candidates: candidates, Threshold: threshold, Calibrated: calibrated, Approximate: found.approximate}
		all[i].Incomplete = found.incomplete != nil && found.incomplete[i]
		all[i].Known = calibrated && len(candidates) > 0 && candidates[0].Distance <= threshold
	}
	return all, nil
}

// threshold returns the rejection threshold, if there is one: that of the calibration, or
// else of the model.
func (g *Gallery) threshold(c *Calibration) (float64, bool) {
	switch {
	case c != nil:
		return c.Threshold, true
	case g.model.Threshold != nil:
		return *g.model.Threshold, true
	}
	return 0, false
}

// VerifyEmbedding is Gallery.VerifyEmbedding.
func (r *Request) VerifyEmbedding(class string, embedding []float32) (VerifyResult, error) {
	v, err := r.verify(class, embedding)
	return v, r.wrap(err, "verify")
}

func (r *Request) verify(class string, embedding []float32) (v VerifyResult, err error) {
	if err := r.open(); err != nil {
		return v, err
	}
	if err := r.gallery.backend.check(embedding); err != nil {
		return v, err
	}
	candidate, calibration, err := r.gallery.backend.compare(r.ctx, class, embedding)
	if err != nil {
		return v, err
	}
	v.Candidate = candidate
	v.Threshold, v.Calibrated = r.gallery.threshold(calibration)
	v.Same = v.Calibrated && v.Distance <= v.Threshold
	return v, nil
}

// Forget is Gallery.Forget.
func (r *Request) Forget(class string) (examples int, err error) {
	if err := r.open(); err != nil {
		return 0, r.wrap(err, "forget")
	}
	if r.gallery.options.ReadOnly {
		return 0, r.wrap(ErrReadOnly, "forget")
	}
	examples, err = r.gallery.backend.forget(r.ctx, class)
	return examples, r.wrap(err, "forget")
}

// Classes is Gallery.Classes.
func (r *Request) Classes() ([]Class, error) {
	if err := r.open(); err != nil {
		return nil, r.wrap(err, "classes")
	}
	classes, err := r.gallery.backend.classes(r.ctx)
	return classes, r.wrap(err, "classes")
}

// Len is Gallery.Len.
func (r *Request) Len() (int, error) {
	if err := r.open(); err != nil {
		return 0, r.wrap(err, "count the examples")
	}
	n, err := r.gallery.backend.count(r.ctx)
	return n, r.wrap(err, "count the examples")
}

// Empty reports whether the gallery has no examples, which takes less time than counting
// them.
func (r *Request) Empty() (bool, error) {
	if err := r.open(); err != nil {
		return false, r.wrap(err, "find an example")
	}
	empty, err := r.gallery.backend.empty(r.ctx)
	return empty, r.wrap(err, "find an example")
}

// Examples is Gallery.Examples.
func (r *Request) Examples(class string) ([]Example, error) {
	if err := r.open(); err != nil {
		return nil, r.wrap(err, "examples")
	}
	examples, err := r.gallery.backend.examples(r.ctx, class)
	return examples, r.wrap(err, "examples")
}

// Calibration is Gallery.Calibration.
func (r *Request) Calibration() (c Calibration, found bool, err error) {
	if err := r.open(); err != nil {
		return c, false, r.wrap(err, "calibration")
	}
	kept, err := r.gallery.backend.calibration(r.ctx)
	if err != nil || kept == nil {
		return c, false, r.wrap(err, "calibration")
	}
	return *kept, true, nil
}

// embed returns the model's embeddings of images.
func (g *Gallery) embed(images []image.Image) (embeddings [][]float32, err error) {
	defer guard.Recover(&err, "the model or an image cannot be used") // their types may be of other packages
	if !g.isOpen() {
		return nil, errNotOpened
	}
	return g.model.Embed(images...)
}

// EnrollEmbeddings is Enroll for embeddings, one for each image, for programs that embed
// images themselves, such as a server that embeds those of several requests in one batch.
// The embeddings must be computed by the gallery's model; only their lengths and that they
// are finite is checked.
func (g *Gallery) EnrollEmbeddings(class string, embeddings ...[]float32) error {
	_, err := g.Request(context.Background(), "").EnrollEmbeddings(class, embeddings...)
	return err
}

// IdentifyEmbeddings is IdentifyAll for embeddings; see EnrollEmbeddings.
func (g *Gallery) IdentifyEmbeddings(embeddings [][]float32, k int) ([]Identification, error) {
	return g.Request(context.Background(), "").IdentifyEmbeddings(embeddings, k)
}

// VerifyEmbedding is Verify for an embedding; see EnrollEmbeddings.
func (g *Gallery) VerifyEmbedding(class string, embedding []float32) (VerifyResult, error) {
	return g.Request(context.Background(), "").VerifyEmbedding(class, embedding)
}
