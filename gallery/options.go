package gallery

import (
	"time"

	"github.com/likeness-go/likeness/internal/wording"
)

// Options says how a gallery is created or opened. The zero value is useful.
type Options struct {
	// ModelName is what people call the model, such as its file's path. Create
	// keeps it, and errors name both models by it.
	ModelName string
	// Rule is how an image is compared with a class of several examples: the zero
	// value is Nearest in Create and whatever the gallery has in Open, where
	// another is an error.
	Rule Rule
	// ReadOnly opens a gallery that nothing is to be enrolled in, which several
	// processes may do at once.
	ReadOnly bool
	// Timeout is how long to wait for another process to close the gallery; 0
	// means a second.
	Timeout time.Duration
	// IndexFrom is from how many examples on Index makes an index; 0 means
	// index.Crossover, below which an exact search takes less time.
	IndexFrom int
	// OnProgress, unless it is nil, is told while images are read and embedded to
	// enrol them, and while they are compared to calibrate, how far that is.
	OnProgress func(done, total int)
}

// progress tells it to whoever listens.
func (o Options) progress(done, total int) {
	if o.OnProgress != nil {
		o.OnProgress(done, total)
	}
}

const usualTimeout = time.Second

// Rule is how an image is compared with a class.
type Rule string

const (
	// Nearest takes the distance from the nearest example. Classes whose images
	// vary need it, and more examples make it better for all of them.
	Nearest Rule = "nearest"
	// Prototype takes the distance from the mean of the examples (Snell, Swersky &
	// Zemel 2017, "Prototypical Networks for Few-shot Learning", equation 1), which
	// one bad example spoils less. Under the cosine distance it is the mean of
	// their directions.
	Prototype Rule = "prototype"
)

// Rules are the names of the rules.
var Rules = []string{string(Nearest), string(Prototype)}

func (r Rule) check() error {
	if r != Nearest && r != Prototype {
		return wording.Unknown("rule", string(r), Rules)
	}
	return nil
}
