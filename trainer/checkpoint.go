package trainer

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// ErrOtherTraining is what a checkpoint is refused with that was written by a
// training of other settings, weights or images: it could not go on as if it had
// never stopped.
var ErrOtherTraining = errors.New("the checkpoint is of another training")

// checkpointFormat is the version of the file.
const checkpointFormat = "likeness-checkpoint/1"

// A checkpoint is a safetensors file. Its tensors are the weights, what the
// solver and the average remember, and the best weights so far; its metadata are
// the place and the settings. There is no state of a random generator: all chance
// is a function of the seed and the number of the step.
const (
	checkpointKey = "likeness.checkpoint"
	placeKey      = "likeness.place"
	settingsKey   = "likeness.settings"

	weightsPart = "weights/"
	bestPart    = "best/"
	solverPart  = "solver/"
	averagePart = "average/"
)

// save writes the checkpoint, whole or not at all.
func (r *run) save() error {
	if r.Checkpoint == "" {
		return nil
	}
	here := r.place
	here.Runs, here.Epochs, here.BestEpoch = r.program.Step(), r.result.Epochs, r.result.BestEpoch
	if here.BestValue = r.bestValue; r.result.Stopped != Interrupted {
		here.Stopped = r.result.Stopped
	}
	file := safetensors.File{Metadata: map[string]string{checkpointKey: checkpointFormat}}
	for key, value := range map[string]any{placeKey: here, settingsKey: r.settings} {
		text, err := json.Marshal(value)
		if err != nil {
			return errors.Wrap(err, "save checkpoint")
		}
		file.Metadata[key] = string(text)
	}
	add := func(part, name string, t *tensor.Dense) {
		file.Tensors = append(file.Tensors, safetensors.Tensor{Name: part + name, Shape: t.Shape(), Data: t.Data()})
	}
	for _, weight := range r.Model.Weights.All() {
		add(weightsPart, weight.Name, weight.Value)
	}
	if r.best != nil {
		for _, weight := range r.best.All() {
			add(bestPart, weight.Name, weight.Value)
		}
	}
	for name, t := range r.solver.State() {
		add(solverPart, name, t)
	}
	if r.average != nil {
		for name, t := range r.average.State() {
			add(averagePart, name, t)
		}
	}
	return errors.Wrapf(safetensors.WriteFile(r.Checkpoint, file), "save checkpoint %s", r.Checkpoint)
}

// resume goes on from the checkpoint, if there is one.
func (r *run) resume() error {
	if !r.Resume {
		return nil
	}
	if r.Checkpoint == "" {
		return errors.New("field Resume: found no Checkpoint to go on from")
	}
	file, err := safetensors.ReadFile(r.Checkpoint)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = r.restore(file)
	}
	return errors.Wrapf(err, "resume from %s", r.Checkpoint)
}

func (r *run) restore(file safetensors.File) error {
	if found := file.Metadata[checkpointKey]; found != checkpointFormat {
		return errors.Errorf("field %s: found %q, expected %q", checkpointKey, found, checkpointFormat)
	}
	var settings map[string]string
	if err := json.Unmarshal([]byte(file.Metadata[settingsKey]), &settings); err != nil {
		return errors.Wrapf(err, "field %s", settingsKey)
	}
	for _, name := range slices.Sorted(maps.Keys(r.settings)) {
		if found, expected := settings[name], r.settings[name]; found != expected {
			return errors.Wrapf(ErrOtherTraining, "%s: found %s, expected %s", name, found, expected)
		}
	}
	var here place
	if err := json.Unmarshal([]byte(file.Metadata[placeKey]), &here); err != nil {
		return errors.Wrapf(err, "field %s", placeKey)
	}
	if err := here.check(r.Epochs, r.epochSteps); err != nil {
		return errors.Wrapf(err, "field %s", placeKey)
	}
	parts, err := partsOf(file)
	if err != nil {
		return err
	}
	weights, best := r.Model.Weights.Clone(), (*graph.Weights)(nil)
	if err := fillWeights(weights, parts[weightsPart]); err != nil {
		return errors.Wrap(err, "weights")
	}
	if len(parts[bestPart]) > 0 {
		best = r.Model.Weights.Clone()
		if err := fillWeights(best, parts[bestPart]); err != nil {
			return errors.Wrap(err, "best weights")
		}
	}
	if err := r.solver.Restore(parts[solverPart]); err != nil {
		return err
	}
	if r.average != nil {
		if err := r.average.Restore(parts[averagePart]); err != nil {
			return err
		}
	}
	if err := r.Model.Weights.CopyFrom(weights); err != nil {
		return err
	}
	r.program.SetStep(here.Runs)
	r.place, r.best, r.bestValue = here, best, here.BestValue
	r.result.Epochs, r.result.BestEpoch, r.result.Stopped = here.Epochs, here.BestEpoch, here.Stopped
	for _, epoch := range here.Epochs {
		r.result.Seconds += epoch.Seconds
	}
	return nil
}

// partsOf sorts the tensors by what they are of.
func partsOf(file safetensors.File) (map[string]solver.State, error) {
	parts := map[string]solver.State{}
	for _, t := range file.Tensors {
		part, name, found := strings.Cut(t.Name, "/")
		if part += "/"; !found || !slices.Contains([]string{weightsPart, bestPart, solverPart, averagePart}, part) {
			return nil, errors.Errorf("tensor %q is of no part of a checkpoint", t.Name)
		}
		if parts[part] == nil {
			parts[part] = solver.State{}
		}
		if slices.Contains(t.Shape, 0) { // Gorgonia has no such tensors
			return nil, errors.Errorf("tensor %q: found shape %v, expected extents of at least 1", t.Name, t.Shape)
		}
		parts[part][name] = tensor.New(tensor.WithShape(t.Shape...), tensor.WithBacking(t.Data))
	}
	return parts, nil
}

// fillWeights copies the tensors to the weights of their names.
func fillWeights(weights *graph.Weights, tensors solver.State) error {
	all := weights.All()
	if len(all) != len(tensors) {
		return errors.Wrapf(ErrOtherTraining, "found %d weights, expected %d", len(tensors), len(all))
	}
	for _, weight := range all {
		t := tensors[weight.Name]
		if t == nil {
			return errors.Wrapf(ErrOtherTraining, "found no weight %q", weight.Name)
		}
		if t.Dtype() != weight.Value.Dtype() || !slices.Equal(t.Shape(), weight.Value.Shape()) {
			return errors.Wrapf(ErrOtherTraining, "weight %q: found %v %v, expected %v %v", weight.Name, t.Dtype(), t.Shape(), weight.Value.Dtype(), weight.Value.Shape())
		}
		if err := tensor.Copy(weight.Value, t); err != nil {
			return errors.WithStack(err)
		}
	}
	return nil
}

// identity are the settings that decide what a training comes to, by name.
func (r *run) identity() (map[string]string, error) {
	settings := map[string]string{
		"objective": r.Objective.Name(), "head": r.Model.Head.Name(),
		"epochs": fmt.Sprint(r.Epochs), "steps of an epoch": fmt.Sprint(r.epochSteps),
		"seed": fmt.Sprint(r.Seed), "patience": fmt.Sprint(r.Patience),
		"batch": fmt.Sprint(r.Examples.count), "examples": fmt.Sprintf("%T", r.Examples.kind),
		"images": r.Examples.digest(),
	}
	for _, weight := range r.Model.Weights.All() {
		if weight.Frozen {
			settings["frozen weights"] += weight.Name + " "
		}
	}
	for name, value := range map[string]any{
		"parameters of the objective": r.Objective, "solver": r.Solver, "penalties": r.Penalties,
		"augmentation": r.Augment, "preprocessing": r.Model.Preprocessing,
	} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, errors.Wrap(err, name)
		}
		settings[name] = string(text)
	}
	return settings, nil
}

// digest tells the images and their labels from others.
func (e *Examples) digest() string {
	hash := fnv.New64a()
	for i, image := range e.images.Images {
		hash.Write(image)
		if e.images.Labels != nil {
			fmt.Fprint(hash, e.images.Labels[i])
		}
	}
	return fmt.Sprintf("%d of digest %016x", e.images.Len(), hash.Sum64())
}
