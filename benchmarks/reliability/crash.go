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

// crash kills trainings and enrolments, and fills disks, at random moments.
func crash(ctx context.Context, s settings) ([]Finding, error) {
	flags := flag.NewFlagSet("crash", flag.ContinueOnError)
	kills := flags.Int("kills", 200, "of trainings, and as many of processes that enrol")
	disks := flags.Int("disks", 40, "that become full under trainings, and a quarter as many under each other command")
	seed := flags.Uint64("seed", 1, "of the moments")
	if err := flags.Parse(s.arguments); err != nil {
		return nil, err
	}
	folder, likeness, remove, err := temporary(ctx)
	if err != nil {
		return nil, err
	}
	defer remove()
	m, err := newMaterial(ctx, likeness, folder)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, part := range []func() ([]Finding, error){
		func() ([]Finding, error) { return m.killTrainings(ctx, *kills, random.New(*seed, "trainings"), s.note) },
		func() ([]Finding, error) {
			return killEnrolments(ctx, folder, *kills, random.New(*seed, "enrolments"), s.note)
		},
		func() ([]Finding, error) { return m.fillDisks(ctx, *disks, random.New(*seed, "disks"), s.note) },
	} {
		found, err := part()
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
	}
	return findings, nil
}

// finding is a figure in words.
func finding(what, format string, arguments ...any) Finding {
	return Finding{what, fmt.Sprintf(format, arguments...)}
}

// killTrainings kills trainings and goes on with each until it comes to its end,
// and compares that with the undisturbed run.
func (m material) killTrainings(ctx context.Context, kills int, chance *rand.Rand, note func(string, ...any)) ([]Finding, error) {
	killed, trainings, left, unbegun := 0, 0, leftovers{}, 0
	span := m.took // in which a process is killed
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
				moment = time.Hour // to its end
			}
			died, err := killAfter(m.likeness.command(ctx, m.folder, arguments...), moment)
			if err != nil {
				return nil, errors.Wrapf(err, "after %d kills", killed)
			}
			// What else runs on the machine changes how long a training takes, so the
			// span follows: about one process in five comes to its end.
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
				return nil, errors.Errorf("%d temporary files are left after the end", found.temporary)
			case !exists(filepath.Join(run, "config.toml")): // so its settings are known to nobody
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
	return []Finding{
		finding("trainings killed", "%d times, and each time every file of the run folder was whole", killed),
		finding("of these before there was anything to go on with", "%d, begun again in the same folder", unbegun),
		finding("trainings that came to their end in spite of it", "%d, all with the model of the undisturbed one, byte for byte, its epochs and its figures", trainings),
		finding("temporary files that kills left", "%d, none of them in the way, none left after the end", left.temporary),
		finding("event files whose last record was cut off", "%d", left.cut),
	}, nil
}

// killAfter starts a command and kills it after a time; one that ends before must
// end well.
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
		if err = <-ended; err != nil && c.ProcessState.ExitCode() < 0 { // by a signal
			return true, nil
		}
	}
	return false, errors.Wrapf(err, "%s: %s", strings.Join(c.Args, " "), &said)
}

// ended reports whether a run is complete, even if its process was killed before it
// printed so.
func (m material) ended(run string) bool {
	return exists(filepath.Join(run, "result.json")) && !exists(filepath.Join(run, "checkpoint.safetensors"))
}

// compare compares a complete run with the undisturbed one: the model byte for byte,
// the epochs and the figures.
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
		return errors.New("the model is not that of the undisturbed training")
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
			return errors.Errorf("found %v, the undisturbed training has %v", found, expected)
		}
	}
	if exists(filepath.Join(run, "checkpoint.safetensors")) {
		return errors.New("there is a checkpoint after the end")
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

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
