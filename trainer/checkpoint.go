package trainer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// ErrOtherTraining is the error for a checkpoint that was written by a training with
// other settings, weights or images.
var ErrOtherTraining = errors.New("the checkpoint is of another training")

// checkpointFormat is the version of the file. The first version, which is still
// read, records less of the training that wrote it.
const (
	checkpointFormat = "likeness-checkpoint/2"
	firstFormat      = "likeness-checkpoint/1"
)

// A checkpoint is a safetensors file. Its tensors are the weights, the states of the
// solver, of the average and of the memory of the loss, and the best weights so far; its metadata are the
// place, the settings and a checksum of all else. There is no state of a random
// generator: all random numbers are functions of the seed and the number of the step.
const (
	checkpointKey = "likeness.checkpoint"
	placeKey      = "likeness.place"
	settingsKey   = "likeness.settings"
	arithmeticKey = "likeness.arithmetic" // every Arithmetic of the precision that the training has had; not in the first format
	goKey         = "likeness.go"         // every version of Go that the training has had; not in earlier checkpoints
	freezingKey   = "likeness.freezing"   // freezesBlocks; absent if the training was begun by an earlier version

	freezesBlocks = "blocks" // the batch norm and the PReLU of a convolution are frozen with it

	arithmeticSeparator = "; "
	goSeparator         = ", "

	weightsPart = "weights/"
	bestPart    = "best/"
	solverPart  = "solver/"
	averagePart = "average/"
	memoryPart  = "memory/" // the ring of objectives.Memory, whose position follows from the steps; absent without one
	filesPart   = "files/"  // the digests of image files; absent if images do not come from files
)

// save writes the checkpoint, whole or not at all.
func (r *run) save() error {
	if r.Checkpoint == "" || !r.Communicator.Root() {
		return nil
	}
	here := r.place
	here.Runs, here.Epochs, here.BestEpoch = r.runs(), r.result.Epochs, r.result.BestEpoch
	if here.BestValue = r.bestValue; r.result.Stopped != Interrupted {
		here.Stopped = r.result.Stopped
	}
	file := safetensors.File{Metadata: map[string]string{
		checkpointKey: checkpointFormat,
		arithmeticKey: strings.Join(soFar(r.arithmetic, r.Precision.Arithmetic()), arithmeticSeparator),
		goKey:         strings.Join(soFar(r.goVersions, runtime.Version()), goSeparator),
	}}
	if len(r.thawed) == 0 {
		file.Metadata[freezingKey] = freezesBlocks
	}
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
	if r.memory != nil {
		file.Tensors = append(file.Tensors, r.memoryTensors()...)
	}
	for setting, digests := range r.digests {
		file.Tensors = append(file.Tensors, safetensors.Tensor{Name: filesPart + setting, Shape: []int{len(digests)}, Data: digests})
	}
	if err := file.Seal(); err != nil {
		return errors.Wrap(err, "save checkpoint")
	}
	return errors.Wrapf(safetensors.WriteFile(r.Checkpoint, file), "save checkpoint %s", r.Checkpoint)
}

// runs is the number of runs of the graph of the training.
func (r *run) runs() uint64 {
	if r.parts != nil {
		return uint64(r.place.Steps) // the numbers of runs of parts follow from it
	}
	return r.program.Step()
}

// readFile reads the checkpoint. Rank 0 reads it for all.
func (r *run) readFile() (safetensors.File, error) {
	if r.Communicator.Size() == 1 {
		return safetensors.ReadFile(r.Checkpoint)
	}
	data, err := r.Communicator.FromRoot("checkpoint", func() ([]byte, error) {
		data, err := os.ReadFile(r.Checkpoint)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil // which no checkpoint is
		}
		return data, err
	})
	if err != nil {
		return safetensors.File{}, err
	}
	if len(data) == 0 {
		return safetensors.File{}, errors.WithStack(os.ErrNotExist)
	}
	return safetensors.Read(bytes.NewReader(data), int64(len(data)), r.Checkpoint)
}

// soFar lists all that the training was computed with: what the checkpoint has that it was
// resumed from, and what is here.
func soFar(before []string, here string) []string {
	if slices.Contains(before, here) {
		return before
	}
	return append(slices.Clone(before), here)
}

// place is how far a training has come.
type place struct {
	Steps     int     `json:"steps"` // done
	Runs      uint64  `json:"runs"`  // of the graph
	Epochs    []Epoch `json:"epochs"`
	Sum       float64 `json:"sum"`     // of the losses of the present epoch
	Done      int     `json:"done"`    // steps of the present epoch
	Seconds   float64 `json:"seconds"` // of the present epoch
	BestEpoch int     `json:"best_epoch"`
	BestValue float64 `json:"best_value"`
	Stopped   string  `json:"stopped"` // by patience
}

// check reports a place that a training of so many epochs does not reach.
func (p place) check(epochs, epochSteps int) error {
	switch {
	case len(p.Epochs) > epochs:
		return errors.Errorf("found %d epochs, expected at most %d", len(p.Epochs), epochs)
	case p.Done < 0 || p.Done > epochSteps:
		return errors.Errorf("found %d steps of an epoch, expected 0 to %d", p.Done, epochSteps)
	case p.Steps != len(p.Epochs)*epochSteps+p.Done:
		return errors.Errorf("found %d steps, expected %d epochs of %d steps and %d steps more", p.Steps, len(p.Epochs), epochSteps, p.Done)
	case p.BestEpoch < 0 || p.BestEpoch > len(p.Epochs):
		return errors.Errorf("found the best epoch %d, expected 0 to %d", p.BestEpoch, len(p.Epochs))
	}
	return nil
}

// progress is the content of a checkpoint, checked against the training.
type progress struct {
	place         place
	weights, best *graph.Weights // best is nil before the first validation
	warnings      []string
}

// resume continues from the checkpoint, if there is one.
func (r *run) resume() error {
	found, err := r.readCheckpoint()
	if err != nil || found == nil {
		return err
	}
	if err := r.Model.Weights.CopyFrom(found.weights); err != nil {
		return err
	}
	if r.program != nil {
		r.program.SetStep(found.place.Runs)
	}
	r.place, r.best, r.bestValue = found.place, found.best, found.place.BestValue
	r.result.Epochs, r.result.BestEpoch, r.result.Stopped = found.place.Epochs, found.place.BestEpoch, found.place.Stopped
	for _, epoch := range found.place.Epochs {
		r.result.Seconds += epoch.Seconds
	}
	if r.result.Seconds > 0 {
		r.result.ImagesPerSecond = float64(r.place.Steps*r.imagesPerStep()) / r.result.Seconds
	}
	if r.OnWarning != nil {
		for _, warning := range found.warnings {
			r.OnWarning(warning)
		}
	}
	return nil
}

// thaw unfreezes the batch norms and PReLUs that an earlier version, which wrote the
// checkpoint to resume from, did not freeze with their convolutions, so that the
// training continues as it began. What is wrong with the file is reported by
// readCheckpoint.
func (r *run) thaw() {
	if !r.Resume {
		return
	}
	file, err := r.readFile()
	if err != nil || file.Metadata[freezingKey] == freezesBlocks {
		return
	}
	var settings map[string]string
	if json.Unmarshal([]byte(file.Metadata[settingsKey]), &settings) != nil {
		return
	}
	frozen := strings.Fields(settings["frozen weights"])
	for _, weight := range r.Model.Weights.All() {
		layer := weight.Name[:max(0, strings.LastIndex(weight.Name, "."))]
		layer = layer[strings.LastIndex(layer, ".")+1:]
		part := strings.HasPrefix(layer, "norm") || strings.HasSuffix(layer, "_prelu")
		if part && weight.Frozen && !slices.Contains(frozen, weight.Name) {
			weight.Frozen = false
			r.thawed = append(r.thawed, weight)
		}
	}
}

// refreeze undoes thaw.
func (r *run) refreeze() {
	for _, weight := range r.thawed {
		weight.Frozen = true
	}
}

// readCheckpoint reads the checkpoint and refuses one that is damaged or of another
// training. It changes the solver, the average and the memory, but not the model. It returns nil if
// there is no checkpoint.
func (r *run) readCheckpoint() (*progress, error) {
	if !r.Resume {
		return nil, nil
	}
	if r.Checkpoint == "" {
		return nil, errors.New("field Resume: it is set, but the field Checkpoint, the file to resume from, is empty")
	}
	file, err := r.readFile()
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var found *progress
	if err == nil {
		found, err = r.restore(file)
	}
	return found, errors.Wrapf(err, "resume from %s", r.Checkpoint)
}

func (r *run) restore(file safetensors.File) (*progress, error) {
	warnings, err := r.checkIdentity(file)
	if err != nil {
		return nil, err
	}
	if file.Metadata[checkpointKey] != firstFormat { // which had no checksum
		if err := file.Verify(); err != nil {
			return nil, errors.WithMessage(err, "the file is damaged: delete it, or begin a new training")
		}
	}
	if len(r.thawed) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s was begun by an earlier version, which did not freeze batch norms and PReLUs with their convolutions: they are trained, such as %s", r.Checkpoint, r.thawed[0].Name))
	}
	here := &progress{warnings: warnings}
	if err := json.Unmarshal([]byte(file.Metadata[placeKey]), &here.place); err != nil {
		return nil, errors.Wrapf(err, "field %s", placeKey)
	}
	if err := here.place.check(r.epochs(), r.epochSteps); err != nil {
		return nil, errors.Wrapf(err, "field %s", placeKey)
	}
	parts, err := partsOf(file)
	if err != nil {
		return nil, err
	}
	here.weights = r.Model.Weights.Clone()
	if err := fillWeights(here.weights, parts[weightsPart]); err != nil {
		return nil, errors.Wrap(err, "weights")
	}
	if name := here.weights.NotFinite(); name != "" {
		return nil, errors.Errorf("weight %q: found a value that is not finite", name)
	}
	if len(parts[bestPart]) > 0 {
		here.best = r.Model.Weights.Clone()
		if err := fillWeights(here.best, parts[bestPart]); err != nil {
			return nil, errors.Wrap(err, "best weights")
		}
		if name := here.best.NotFinite(); name != "" {
			return nil, errors.Errorf("best weight %q: found a value that is not finite", name)
		}
	}
	if err := r.solver.Restore(parts[solverPart]); err != nil {
		return nil, err
	}
	if r.average != nil {
		if err := r.average.Restore(parts[averagePart]); err != nil {
			return nil, err
		}
	}
	return here, r.restoreMemory(here.place.Steps, parts[memoryPart])
}

// Names of the tensors of a memory in a checkpoint.
const (
	memoryEmbeddings = "embeddings"
	memoryLabels     = "labels"
)

// memoryTensors are the ring of the memory, in the element type of the weights, which holds
// every embedding of the graph exactly.
func (r *run) memoryTensors() (tensors []safetensors.Tensor) {
	_, embeddings, labels := r.memory.State()
	add := func(name string, values []float64, shape ...int) {
		t := safetensors.Tensor{Name: memoryPart + name, Shape: shape, Data: values}
		if r.Model.Weights.Dtype() == graph.Float32 {
			narrow := make([]float32, len(values))
			for i, v := range values {
				narrow[i] = float32(v)
			}
			t.Data = narrow
		}
		tensors = append(tensors, t)
	}
	add(memoryEmbeddings, embeddings, len(labels), len(embeddings)/len(labels))
	add(memoryLabels, labels, len(labels))
	return tensors
}

// restoreMemory continues with the memory of a checkpoint.
func (r *run) restoreMemory(steps int, tensors solver.State) error {
	if r.memory == nil {
		if len(tensors) > 0 {
			return errors.Wrap(ErrOtherTraining, "found a cross-batch memory, expected none")
		}
		return nil
	}
	found := map[string][]float64{}
	for name, t := range tensors {
		switch data := t.Data().(type) {
		case []float32:
			found[name] = widen(data)
		case []float64:
			found[name] = data
		}
	}
	if len(tensors) != 2 || found[memoryEmbeddings] == nil || found[memoryLabels] == nil {
		return errors.Errorf("cross-batch memory: found %d tensors %s, expected %s and %s of floating-point numbers", len(tensors), memoryPart, memoryPart+memoryEmbeddings, memoryPart+memoryLabels)
	}
	return r.memory.Restore(steps, found[memoryEmbeddings], found[memoryLabels])
}

// partsOf sorts the tensors by the part of the checkpoint that they belong to.
func partsOf(file safetensors.File) (map[string]solver.State, error) {
	parts := map[string]solver.State{}
	for _, t := range file.Tensors {
		part, name, found := strings.Cut(t.Name, "/")
		if part+"/" == filesPart {
			continue // see changedFile
		}
		if part += "/"; !found || !slices.Contains([]string{weightsPart, bestPart, solverPart, averagePart, memoryPart}, part) {
			return nil, errors.Errorf("tensor %q belongs to no part of a checkpoint", t.Name)
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
