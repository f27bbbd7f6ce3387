package doctor

import (
	"context"
	"fmt"

	"github.com/likeness-go/likeness/internal/vector"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// Status is what a check came to.
type Status string

const (
	OK         Status = "ok"
	Wrong      Status = "wrong"
	NotChecked Status = "not checked" // what it takes is not there
)

// Finding is one thing that was examined.
type Finding struct {
	Status Status `json:"status"`
	What   string `json:"what"`
	Found  string `json:"found"` // in figures; what is wrong, or why nothing was checked
}

// String is one line.
func (f Finding) String() string { return fmt.Sprintf("%-11s  %s: %s", f.Status, f.What, f.Found) }

// Options say what is examined beside the program itself.
type Options struct {
	Models   []string // model files
	Omniglot string   // a folder with all_runs.zip; empty for none
}

// notChecked is why a check had nothing to look at.
type notChecked string

func (n notChecked) Error() string { return string(n) }

// check is one thing to examine. Its error is what is wrong, or a notChecked.
type check struct {
	what string
	run  func() (found string, err error)
}

// Examine makes all checks and tells of each as it is done. It ends early when
// the context does. The number of threads that graphs use changes meanwhile, and
// comes back to what it was.
func Examine(ctx context.Context, o Options, tell func(Finding)) error {
	for _, c := range checks(o) {
		if err := ctx.Err(); err != nil {
			return errors.WithStack(err)
		}
		tell(c.finding())
	}
	return nil
}

func checks(o Options) (all []check) {
	for _, engine := range vector.Engines() {
		what := "instructions " + engine.Name()
		if engine.Name() == vector.For[float32]().Name() {
			what += ", which are in use"
		}
		all = append(all, check{what, func() (string, error) { return instructions(engine) }})
	}
	for _, c := range layerCases {
		all = append(all, check{"layer " + c.name, c.run})
	}
	for i, towers := range []string{"one tower", "two towers", "three towers"} {
		all = append(all, check{"gradients of a network in " + towers, func() (string, error) { return gradients(network, i+1) }})
	}
	all = append(all,
		check{"one seed, one result", determinism},
		check{"Omniglot's official runs", func() (string, error) { return omniglot(o.Omniglot) }})
	for _, name := range zoo.Names() {
		all = append(all, check{"model zoo/" + name, func() (string, error) { return model(zoo.Load(name)) }})
	}
	for _, path := range o.Models {
		all = append(all, check{"model " + path, func() (string, error) { return modelFile(path) }})
	}
	return all
}

// finding runs the check. What panics is wrong, too.
func (c check) finding() (f Finding) {
	defer func() {
		if cause := recover(); cause != nil {
			f = Finding{Wrong, c.what, fmt.Sprint("panic: ", cause)}
		}
	}()
	found, err := c.run()
	var reason notChecked
	switch {
	case errors.As(err, &reason):
		return Finding{NotChecked, c.what, err.Error()}
	case err != nil:
		return Finding{Wrong, c.what, err.Error()}
	}
	return Finding{OK, c.what, found}
}
