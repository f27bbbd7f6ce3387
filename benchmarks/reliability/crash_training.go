package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/likeness-go/likeness/report"
	"github.com/pkg/errors"
)

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

// ended says whether a run has come to its end, although its process was killed
// before it said so.
func (m material) ended(run string) bool {
	return exists(filepath.Join(run, "result.json")) && !exists(filepath.Join(run, "checkpoint.safetensors"))
}

// compare compares a run that has come to its end with the undisturbed one: the
// model byte for byte, the epochs and the figures.
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
