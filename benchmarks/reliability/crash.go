package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/report"
	"github.com/pkg/errors"
)

// crash kills trainings and enrolling processes at random moments and fills disks.
func crash(ctx context.Context, s settings) ([]measured, error) {
	flags := flag.NewFlagSet("crash", flag.ContinueOnError)
	kills := flags.Int("kills", 200, "`number` of kills of trainings, and of enrolling processes")
	disks := flags.Int("disks", 40, "`number` of full disks for trainings, and a quarter of it for each other command")
	seed := flags.Uint64("seed", 1, "random seed of the moments")
	if err := flags.Parse(s.arguments); err != nil {
		return nil, err
	}
	folder, program, remove, err := temporary(ctx)
	if err != nil {
		return nil, err
	}
	defer remove()
	m, err := newMaterial(ctx, program, folder)
	if err != nil {
		return nil, err
	}
	var findings []measured
	for _, part := range []func() ([]measured, error){
		func() ([]measured, error) {
			return m.killTrainings(ctx, *kills, random.New(*seed, "trainings"), s.note)
		},
		func() ([]measured, error) {
			return killEnrollments(ctx, folder, *kills, random.New(*seed, "enrollments"), s.note)
		},
		func() ([]measured, error) { return m.fillDisks(ctx, *disks, random.New(*seed, "disks"), s.note) },
	} {
		found, err := part()
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
	}
	return findings, nil
}

// newMeasured formats a result.
func newMeasured(what, format string, arguments ...any) measured {
	return measured{what, fmt.Sprintf(format, arguments...)}
}

// killTrainings kills trainings at random moments, resumes each until it is finished, and
// compares the result with the undisturbed run.
func (m material) killTrainings(ctx context.Context, kills int, chance *rand.Rand, note func(string, ...any)) ([]measured, error) {
	killed, trainings, left, unbegun := 0, 0, leftovers{}, 0
	span := m.took // maximum time until a process is killed
	run := filepath.Join(m.folder, "killed")
	begin := m.train(run)
	for killed < kills {
		trainings++
		note("training %d, after %d of %d kills", trainings, killed, kills)
		if err := os.RemoveAll(run); err != nil {
			return nil, errors.WithStack(err)
		}
		for arguments, ended := begin, false; !ended; {
			moment := time.Duration(chance.Float64() * float64(span))
			if killed == kills {
				moment = time.Hour // let it finish
			}
			died, err := killAfter(m.likeness.command(ctx, m.folder, arguments...), moment)
			if err != nil {
				return nil, errors.Wrapf(err, "after %d kills", killed)
			}
			// The duration of a training depends on other programs, so the span is adapted:
			// about one process in five finishes.
			if died {
				killed++
				span += span / 20
			} else {
				span -= span / 5
			}
			found, err := inspect(run)
			if err != nil {
				return nil, errors.Wrapf(err, "after %d kills", killed)
			}
			left.temporary, left.cut = left.temporary+found.temporary, left.cut+found.cut
			switch ended = !died || m.ended(run); {
			case ended && !died && found.temporary > 0:
				return nil, errors.Errorf("found %d temporary files after the end of the training", found.temporary)
			case !exists(filepath.Join(run, "config.toml")): // nothing to resume
				arguments = begin
				unbegun++
			default:
				arguments = []string{"train", "--resume", run, "--tensorboard"}
			}
		}
		if err := m.compare(run); err != nil {
			return nil, errors.Wrapf(err, "after %d kills", killed)
		}
	}
	return []measured{
		newMeasured("kills of trainings", "%d, and after each every file of the run folder was intact", killed),
		newMeasured("of these before there was anything to resume", "%d, started again in the same folder", unbegun),
		newMeasured("trainings that finished in spite of kills", "%d, all with the model of the undisturbed one, byte for byte, its epochs and its figures", trainings),
		newMeasured("temporary files that kills left", "%d, without consequences, none left after the end", left.temporary),
		newMeasured("event files whose last record was truncated", "%d", left.cut),
	}, nil
}

// killAfter starts a command and kills it after a time. If it ends before, it must succeed.
func killAfter(c *exec.Cmd, moment time.Duration) (died bool, err error) {
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Start(); err != nil {
		return false, errors.WithStack(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case err = <-ended:
	case <-timer.C:
		if err := c.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return false, errors.WithStack(err)
		}
		if err = <-ended; err != nil && c.ProcessState.ExitCode() < 0 { // it was killed
			return true, nil
		}
	}
	return false, errors.Wrapf(err, "%s: %s", strings.Join(c.Args, " "), &said)
}

// ended reports whether a training has finished, although its process was killed.
func (m material) ended(run string) bool {
	return exists(filepath.Join(run, "result.json")) && !exists(filepath.Join(run, "checkpoint.safetensors"))
}

// compare compares a finished run with the undisturbed one: the model byte for byte, the
// epochs and the figures.
func (m material) compare(run string) error {
	model := func(folder string) ([]byte, error) { return os.ReadFile(filepath.Join(folder, "model.safetensors")) }
	found, err := model(run)
	if err != nil {
		return errors.WithStack(err)
	}
	expected, err := model(m.whole)
	if err != nil {
		return errors.WithStack(err)
	}
	if !bytes.Equal(found, expected) {
		return errors.New("the model differs from that of the undisturbed training")
	}
	for _, read := range []func(folder string) (any, error){
		func(folder string) (any, error) {
			content, err := os.ReadFile(filepath.Join(folder, "metrics.jsonl"))
			if err != nil {
				return nil, err
			}
			return epochs(content)
		},
		func(folder string) (any, error) {
			figures, err := report.Load(filepath.Join(folder, "result.json"))
			return figures.Metrics, err
		},
	} {
		found, err := read(run)
		if err != nil {
			return errors.WithStack(err)
		}
		expected, err := read(m.whole)
		if err != nil {
			return errors.WithStack(err)
		}
		if !reflect.DeepEqual(found, expected) {
			return errors.Errorf("found %v, expected %v as in the undisturbed training", found, expected)
		}
	}
	if exists(filepath.Join(run, "checkpoint.safetensors")) {
		return errors.New("found a checkpoint after the end of the training")
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// childVariable is the environment variable with the gallery in which this program, as a
// child process, enrolls in an endless loop.
const childVariable = "LIKENESS_RELIABILITY_ENROL"

// perEnrollment is the number of examples that are enrolled at a time, all or none.
const perEnrollment = 3

// grayModel embeds an image of three gray pixels as their values.
func grayModel() (*likeness.Model, error) {
	size := imaging.Size{Height: 1, Width: 3, Channels: 1}
	network := backbone.Network{Name: "grays", Size: size, Blocks: []graph.Block{graph.Flatten{}}}
	return likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: size}, 1)
}

// example returns the embedding of the j-th example of the i-th class.
func example(i, j int) []float32 { return []float32{float32(i % 256), float32(i / 256), float32(j)} }

// enrollForever opens or creates a gallery and enrolls until it is killed. It writes a line
// for each class after EnrollEmbeddings has returned.
func enrollForever(path string, acknowledge io.Writer) error {
	model, err := grayModel()
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
		for j := range perEnrollment {
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

// killEnrollments kills enrolling processes and checks that all acknowledged examples are in
// the gallery. Every tenth process creates a new gallery, so that the creation is killed,
// too.
func killEnrollments(ctx context.Context, folder string, kills int, chance *rand.Rand, note func(string, ...any)) ([]measured, error) {
	const perGallery = 10
	acknowledged, unmade, beyond := 0, 0, 0
	path := filepath.Join(folder, "killed.gallery")
	var known []string
	var starting time.Duration
	for kill := range kills {
		if kill%perGallery == 0 {
			note("enrollments, after %d of %d kills: %d acknowledged", kill, kills, acknowledged)
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, errors.WithStack(err)
			}
			known = nil
		}
		more, started, err := killChild(ctx, path, time.Duration(chance.Float64()*3*float64(starting)))
		if err != nil {
			return nil, err
		}
		if starting == 0 { // the first process measures the time to start
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
		case examples > len(known)*perEnrollment:
			beyond++
			known = nil // an enrollment succeeded without an acknowledgment: count again
			for i := range examples / perEnrollment {
				known = append(known, fmt.Sprint("class ", i))
			}
		}
	}
	return []measured{
		newMeasured("kills of enrolling processes", "%d, and after each the gallery could be opened", kills),
		newMeasured("acknowledged enrollments", "%d of %d examples each, all in the gallery", acknowledged, perEnrollment),
		newMeasured("killed between an enrollment and its acknowledgment", "%d, with all examples in the gallery", beyond),
		newMeasured("killed before the gallery was created", "%d, and created by the next process", unmade),
	}, nil
}

// killChild starts an enrolling process, kills it after a time, or after its first
// acknowledgment if the time is 0, and returns what it acknowledged and the time that it took
// to start.
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
		return nil, 0, errors.Errorf("the enrolling process ended before it was killed: %v: %s", err, &said)
	}
	for line := range strings.Lines(string(text)) {
		if class, whole := strings.CutSuffix(line, "\n"); whole {
			acknowledged = append(acknowledged, class)
		}
	}
	return acknowledged, started, nil
}

// lookFor opens a gallery, checks that it has the classes, each with all of its examples, and
// returns the number of examples.
func lookFor(path string, classes []string) (examples int, err error) {
	model, err := grayModel()
	if err != nil {
		return 0, err
	}
	g, err := gallery.Open(path, model, gallery.Options{})
	if err != nil {
		return 0, err
	}
	defer g.Close()
	for _, class := range g.Classes() {
		if class.Examples != perEnrollment {
			return 0, errors.Errorf("%s has %d examples, expected all of %d or none", class.Name, class.Examples, perEnrollment)
		}
	}
	for _, class := range classes {
		var i int
		if _, err := fmt.Sscanf(class, "class %d", &i); err != nil {
			return 0, errors.Wrap(err, class)
		}
		for j := range perEnrollment {
			found, err := g.VerifyEmbedding(class, example(i, j))
			if err != nil {
				return 0, errors.Wrapf(err, "%s was acknowledged, but is not in the gallery", class)
			}
			if found.Distance != 0 {
				return 0, errors.Errorf("%s was acknowledged, but its example has the distance %v", class, found.Distance)
			}
		}
	}
	return g.Len(), nil
}
