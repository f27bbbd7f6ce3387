package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// childVariable makes this program one that enrols without end, into the gallery
// that it names.
const childVariable = "LIKENESS_RELIABILITY_ENROL"

// perEnrolment examples are enrolled at once, all or none.
const perEnrolment = 3

// greys embeds an image of three grey pixels as their values.
func greys() (*likeness.Model, error) {
	size := imaging.Size{Height: 1, Width: 3, Channels: 1}
	network := backbone.Network{Name: "greys", Size: size, Blocks: []graph.Block{graph.Flatten{}}}
	return likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: size}, 1)
}

// example is the j-th of the i-th class.
func example(i, j int) []float32 { return []float32{float32(i % 256), float32(i / 256), float32(j)} }

// enrolWithoutEnd opens a gallery, or makes it, and enrols until it is killed. It
// writes a line for each class once Enroll has returned.
func enrolWithoutEnd(path string, acknowledge io.Writer) error {
	model, err := greys()
	if err != nil {
		return err
	}
	g, err := gallery.Open(path, model, gallery.Options{})
	if errors.Is(err, fs.ErrNotExist) {
		g, err = gallery.Create(path, model, gallery.Options{})
	}
	if err != nil {
		return err
	}
	for i := len(g.Classes()); ; i++ {
		var examples [][]float32
		for j := range perEnrolment {
			examples = append(examples, example(i, j))
		}
		if err := g.EnrollEmbeddings(fmt.Sprint("class ", i), examples...); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(acknowledge, "class %d\n", i); err != nil {
			return err
		}
	}
}

// killEnrolments kills processes that enrol, and looks for whatever they said that
// they had enrolled. Every tenth begins a new gallery, so that its making is
// killed, too.
func killEnrolments(ctx context.Context, folder string, kills int, chance *rand.Rand, note func(string, ...any)) ([]Finding, error) {
	const perGallery = 10
	acknowledged, unmade, beyond := 0, 0, 0
	path := filepath.Join(folder, "killed.gallery")
	var known []string
	var starting time.Duration
	for kill := range kills {
		if kill%perGallery == 0 {
			note("enrolments, after %d of %d kills: %d acknowledged", kill, kills, acknowledged)
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, errors.WithStack(err)
			}
			known = nil
		}
		more, started, err := killChild(ctx, path, time.Duration(chance.Float64()*3*float64(starting)))
		if err != nil {
			return nil, err
		}
		if starting == 0 { // the first one shows how long it takes to begin
			starting = started
		}
		known = append(known, more...)
		acknowledged += len(more)
		examples, err := lookFor(path, known)
		switch {
		case errors.Is(err, fs.ErrNotExist) && len(known) == 0:
			unmade++
		case err != nil:
			return nil, errors.Wrapf(err, "after %d kills", kill+1)
		case examples > len(known)*perEnrolment:
			beyond++
			known = nil // an enrolment that came through unacknowledged: count anew
			for i := range examples / perEnrolment {
				known = append(known, fmt.Sprint("class ", i))
			}
		}
	}
	return []Finding{
		finding("processes killed that enrolled", "%d, and each time the gallery opened", kills),
		finding("enrolments that they acknowledged", "%d, of %d examples each, all there", acknowledged, perEnrolment),
		finding("killed between an enrolment and its acknowledgement", "%d, of which all examples were there", beyond),
		finding("killed before the gallery was made", "%d, and made by the next", unmade),
	}, nil
}

// killChild starts a process that enrols, kills it after a time, or upon its first
// acknowledgement if that is 0, and returns what it acknowledged and how long it
// took to begin.
func killChild(ctx context.Context, path string, moment time.Duration) (acknowledged []string, started time.Duration, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, 0, errors.WithStack(err)
	}
	var said strings.Builder
	child := exec.CommandContext(ctx, program)
	child.Env = append(os.Environ(), childVariable+"="+path)
	child.Stderr = &said
	output, err := child.StdoutPipe()
	if err != nil {
		return nil, 0, errors.WithStack(err)
	}
	start := time.Now()
	if err := child.Start(); err != nil {
		return nil, 0, errors.WithStack(err)
	}
	if moment > 0 {
		defer time.AfterFunc(moment, func() { _ = child.Process.Kill() }).Stop()
	} else {
		first := make([]byte, 1)
		if _, err := io.ReadFull(output, first); err == nil {
			started = time.Since(start)
		}
		_ = child.Process.Kill()
		output = io.NopCloser(io.MultiReader(strings.NewReader(string(first)), output))
	}
	text, err := io.ReadAll(output)
	if err != nil {
		return nil, 0, errors.WithStack(err)
	}
	if err := child.Wait(); err == nil || child.ProcessState.ExitCode() >= 0 {
		return nil, 0, errors.Errorf("the process that enrols ended by itself: %v: %s", err, &said)
	}
	for line := range strings.Lines(string(text)) {
		if class, whole := strings.CutSuffix(line, "\n"); whole {
			acknowledged = append(acknowledged, class)
		}
	}
	return acknowledged, started, nil
}

// lookFor opens a gallery, looks for classes and returns how many examples there
// are. Each class must have all its examples.
func lookFor(path string, classes []string) (examples int, err error) {
	model, err := greys()
	if err != nil {
		return 0, err
	}
	g, err := gallery.Open(path, model, gallery.Options{})
	if err != nil {
		return 0, err
	}
	defer g.Close()
	for _, class := range g.Classes() {
		if class.Examples != perEnrolment {
			return 0, errors.Errorf("%s has %d examples, expected all of %d or none", class.Name, class.Examples, perEnrolment)
		}
	}
	for _, class := range classes {
		var i int
		if _, err := fmt.Sscanf(class, "class %d", &i); err != nil {
			return 0, errors.Wrap(err, class)
		}
		for j := range perEnrolment {
			found, err := g.VerifyEmbedding(class, example(i, j))
			if err != nil {
				return 0, errors.Wrapf(err, "%s, which was acknowledged, is not there", class)
			}
			if found.Distance != 0 {
				return 0, errors.Errorf("%s, which was acknowledged, is at a distance of %v", class, found.Distance)
			}
		}
	}
	return g.Len(), nil
}
