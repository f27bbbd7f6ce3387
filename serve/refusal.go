package serve

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/likeness-go/likeness/gallery"
	"github.com/pkg/errors"
)

// refusal is an error that is the client's to know, with its status code.
type refusal struct {
	code    int
	message string
}

func (r *refusal) Error() string { return r.message }

func refuse(code int, format string, arguments ...any) error {
	return &refusal{code, fmt.Sprintf(format, arguments...)}
}

// errLate is the cause of the end of a request's context when its time is up, and
// errGone is that its client has left before all of it came or was answered.
var (
	errLate = errors.New("the time for a request is up")
	errGone = errors.New("the client has gone")
)

// clientGone is the code of requests whose client did not wait for an answer, in
// logs and metrics alone: nobody reads it. It is the one that nginx has for them.
const clientGone = 499

// refusalOf is what the client is told of an error. What is none of its business,
// such as the paths of the server's files, stays in the log.
func refusalOf(err error) *refusal {
	var known *refusal
	var body *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &body):
		return &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("body: found more than %d bytes, which is the most that is taken", body.Limit)}
	case errors.Is(err, errGone), errors.Is(err, context.Canceled):
		return &refusal{clientGone, errGone.Error()}
	case errors.Is(err, errLate), errors.Is(err, context.DeadlineExceeded):
		return &refusal{http.StatusServiceUnavailable, errLate.Error() + ": send fewer or smaller images, or try again"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{http.StatusRequestTimeout, "body: it did not come within the time that there is for it"}
	case errors.Is(err, errCrowded):
		return &refusal{http.StatusServiceUnavailable, errCrowded.Error() + ": try again"}
	case errors.Is(err, errFull):
		return &refusal{http.StatusServiceUnavailable, "the queue is full: " + errFull.Error() + "; try again"}
	case errors.Is(err, errClosed), errors.Is(err, gallery.ErrClosed):
		return &refusal{http.StatusServiceUnavailable, errClosed.Error()}
	case errors.Is(err, gallery.ErrUnknownClass):
		return &refusal{http.StatusNotFound, "class: " + errors.Cause(err).Error()} // without the gallery's path
	case errors.Is(err, gallery.ErrClassName):
		return &refusal{http.StatusBadRequest, "class: " + errors.Cause(err).Error()}
	case errors.Is(err, gallery.ErrReadOnly):
		return &refusal{http.StatusConflict, "the gallery was opened for reading only"}
	}
	return &refusal{http.StatusInternalServerError, "the server failed: its log says more of this request"}
}

// retryAfter is in how many seconds it is worth to ask again; empty where it is
// not.
func (r *refusal) retryAfter() string {
	if r.code == http.StatusTooManyRequests || r.code == http.StatusServiceUnavailable {
		return "1"
	}
	return ""
}
