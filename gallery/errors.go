package gallery

import (
	"fmt"
	"strings"

	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

var (
	// ErrExists says that there is a gallery where one was to be created.
	ErrExists = errors.New("it exists: open it, or choose another file")
	// ErrNotGallery says that a file is no gallery, or none of a known format.
	ErrNotGallery = errors.New("it is no gallery of a known format")
	// ErrDamaged says that a gallery's file cannot be read as it was written.
	ErrDamaged = errors.New("the file is damaged: restore a copy of it")
	// ErrModel says that a gallery is of another model.
	ErrModel = errors.New("the embeddings of two models cannot be compared: open it with its own, or enrol anew in another file")
	// ErrLocked says that another process has the gallery open.
	ErrLocked = errors.New("another process has it open")
	// ErrReadOnly says that a gallery was opened for reading.
	ErrReadOnly = errors.New("it was opened for reading only")
	// ErrClosed says that a gallery was closed.
	ErrClosed = errors.New("it is closed")
	// ErrClassName says that a name is none for a new class; see CheckClassName.
	ErrClassName = errors.New("invalid class name")
	// ErrUnknownClass says that a gallery has no class of a name.
	ErrUnknownClass = errors.New("unknown class")
	// ErrTooFewPairs says that so few pairs of images say nothing about so small a
	// rate.
	ErrTooFewPairs = errors.New("too few pairs of different classes")
	// ErrTooSmall says that an exact search takes less time than an index would.
	ErrTooSmall = errors.New("too few examples for an index")
)

// mostNamed is how many classes an error names.
const mostNamed = 10

// unknownClass is ErrUnknownClass with the name that was probably meant.
func unknownClass(found string, known []string) error {
	message := fmt.Sprintf("%q", found)
	if name := wording.Nearest(found, known); name != "" {
		message += fmt.Sprintf(": did you mean %q?", name)
	} else {
		message += "."
	}
	named := make([]string, min(len(known), mostNamed))
	for i := range named {
		named[i] = wording.Printable(known[i]) // an older gallery may hold any name
	}
	list := strings.Join(named, ", ")
	switch {
	case len(known) == 0:
		message += " There are none yet"
	case len(known) <= mostNamed:
		message += " There are " + list
	default:
		message += fmt.Sprintf(" There are %s and %d more", list, len(known)-mostNamed)
	}
	return fmt.Errorf("%w %s", ErrUnknownClass, message)
}
