package likeness

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/quantized"
	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// A model file is a safetensors file: the weights in canonical layout under
// PyTorch's names, or the arrays of a quantized network with the weights of the head, and in the
// metadata what else determines the function.
const (
	formatKey        = "likeness.format"
	backboneKey      = "likeness.backbone"      // TOML, as backbone.Parse reads it
	headKey          = "likeness.head"          // heads.Identifier of it
	preprocessingKey = "likeness.preprocessing" // JSON of imaging.Preprocessing
	thresholdKey     = "likeness.threshold"     // a number; missing when not calibrated
	probeKey         = "likeness.probe"         // JSON of probe; missing if there is none
)

var (
	// ErrOwnBackbone is the error of Load for a model whose backbone or a block of it is
	// a user-defined Go type, which a file cannot contain.
	ErrOwnBackbone = errors.New("the backbone, or one of its blocks, is a user-defined Go type: only a program that has the type can load the model, with LoadWith")
	// ErrOwnHead is the error of Load for a model whose head is a user-defined Go type,
	// which a file cannot contain.
	ErrOwnHead = errors.New("the head is a user-defined Go type: only a program that has the type can load the model, with LoadWith and WithHead")
	// ErrOtherBackbone is the error of LoadWith for a backbone that computes other
	// embeddings than the one with which the model was saved.
	ErrOtherBackbone = errors.New("the backbone is not the one that the model was saved with")
)

// ownBackbone is the name in the metadata of a backbone that is not a list of blocks.
const ownBackbone = "own"

// lossPrefix begins the names of the trainable weights of a loss: it is
// objectives.WeightPrefix, whose package a model does not need.
const lossPrefix = "loss."

// weights are those of the model's file: all but the trainable weights of the loss
// that it was trained with, such as class vectors, which embeddings and distances do
// not depend on.
func (m *Model) weights() []*graph.Weight {
	return slices.DeleteFunc(m.Weights.All(), func(w *graph.Weight) bool {
		return strings.HasPrefix(w.Name, lossPrefix)
	})
}

// Save writes the model to one file, atomically. Equal models give equal files, byte for
// byte. The file has a checksum of its content and the embedding of a generated image,
// from which Load detects a damaged file, and LoadWith and ProbeDeviation a changed
// computation.
//
// A user-defined backbone, block of a backbone.Network or head is marked as such in the
// file; it must be given to LoadWith. Save returns an error for what Load or LoadWith
// would refuse: a weight or a threshold that is not a number, weights of float64, a
// weight that neither the backbone nor the head has. An earlier file is then unchanged.
// The trainable weights of a loss (objectives.Batch.Weight) are not part of the model and
// are not saved.
func (m *Model) Save(path string) (err error) {
	defer func() {
		caught(recover(), &err)
		err = errors.Wrapf(err, "save model %s", path)
	}()
	if err := m.check(); err != nil {
		return err
	}
	file, err := m.sealed()
	if err != nil {
		return err
	}
	return safetensors.WriteFile(path, file)
}

// CheckSave returns the error that Save would return, whatever the values of the weights:
// for weights of float64, for a weight that neither the backbone nor the head has, or for
// a backbone or a head that does not fit the weights. A training calls it before its
// first step.
func (m *Model) CheckSave() (err error) {
	defer func() { caught(recover(), &err) }()
	if err := m.check(); err != nil {
		return err
	}
	file, err := m.content()
	if err != nil {
		return err
	}
	return m.checkReadable(file)
}

// sealed is the model's file with its probe and its checksum.
func (m *Model) sealed() (safetensors.File, error) {
	if err := m.checkFinite(); err != nil {
		return safetensors.File{}, err
	}
	file, err := m.content()
	if err != nil {
		return safetensors.File{}, err
	}
	if err := m.checkReadable(file); err != nil {
		return safetensors.File{}, errors.Wrap(err, "it could not be loaded")
	}
	probe, err := m.newProbe()
	if err != nil {
		return safetensors.File{}, err
	}
	if probe != nil {
		text, err := json.Marshal(probe)
		if err != nil {
			return safetensors.File{}, err
		}
		file.Metadata[probeKey] = string(text)
	}
	return file, file.Seal()
}

// checkFinite refuses what no model that works has.
func (m *Model) checkFinite() error {
	for _, weight := range m.weights() {
		if data, ok := weight.Value.Data().([]float32); ok {
			if i, found := notFinite(data); found {
				return errors.Errorf("weight %q: value %d is %v, expected a finite number", weight.Name, i, data[i])
			}
		}
	}
	if m.Threshold != nil && math.IsNaN(*m.Threshold) {
		return errors.New("field Threshold: found NaN, expected a number")
	}
	return nil
}

// checkReadable reads all of the file but the weights' values as Load does. What is
// user-defined comes from the model itself.
func (m *Model) checkReadable(file safetensors.File) error {
	var own own
	if file.Metadata[backboneKey] == ownBackbone {
		own.backbone = m.Backbone
	}
	if heads.IsOwn(m.Head) {
		own.head = m.Head
	}
	described, err := described(file, own)
	if err != nil {
		return err
	}
	_, err = matched(described.Weights, described.ofWeights(file.Tensors))
	return err
}

// notFinite finds the first value that is NaN or infinite.
func notFinite(values []float32) (index int, found bool) {
	index = slices.IndexFunc(values, func(v float32) bool { return v-v != 0 })
	return index, index >= 0
}

// content is what the model's file holds.
func (m *Model) content() (safetensors.File, error) {
	format, half := Format, func(string) bool { return false }
	switch {
	case m.Quantized != nil:
		format = QuantizedFormat
	case m.HalfPrecision:
		format, half = HalfFormat, halfPrecision(m.Weights)
	}
	metadata := map[string]string{formatKey: format, headKey: heads.Identifier(m.Head), backboneKey: ownBackbone}
	if network, ok := m.Backbone.(backbone.Network); ok {
		switch text, err := network.TOML(); {
		case err == nil:
			metadata[backboneKey] = text
		case !errors.Is(err, backbone.ErrOwnBlock):
			return safetensors.File{}, err
		}
	}
	preprocessing, err := json.Marshal(m.Preprocessing)
	if err != nil {
		return safetensors.File{}, err
	}
	metadata[preprocessingKey] = string(preprocessing)
	if m.Threshold != nil {
		metadata[thresholdKey] = strconv.FormatFloat(*m.Threshold, 'g', -1, 64)
	}
	file := safetensors.File{Metadata: metadata}
	for _, weight := range m.weights() {
		file.Tensors = append(file.Tensors, safetensors.Tensor{
			Name: weight.Name, Shape: weight.Value.Shape(), Data: weight.Value.Data(), Half: half(weight.Name),
		})
	}
	for _, p := range m.Quantized.Parameters() {
		file.Tensors = append(file.Tensors, safetensors.Tensor{Name: p.Name, Shape: p.Shape, Data: p.Data})
	}
	return file, nil
}

// RoundToHalf rounds the weights, except those of batch norm, to half-precision numbers
// (IEEE 754 binary16: 11 significant bits, magnitudes up to 65,504), and sets
// HalfPrecision. An error names a weight that is too large; then nothing has changed.
func (m *Model) RoundToHalf() (err error) {
	defer func() {
		caught(recover(), &err)
		err = errors.Wrap(err, "round to half precision")
	}()
	if err := m.check(); err != nil {
		return err
	}
	if err := m.CheckFloat(); err != nil {
		return err
	}
	half := halfPrecision(m.Weights)
	rounded := map[*graph.Weight][]float32{}
	for _, weight := range m.weights() {
		data, ok := weight.Value.Data().([]float32)
		if !ok {
			return errors.Errorf("weight %q: found elements of type %T, expected []float32", weight.Name, weight.Value.Data())
		}
		if !half(weight.Name) {
			continue
		}
		values := make([]float32, len(data))
		for i, v := range data {
			if values[i] = safetensors.Half(v); math.IsInf(float64(values[i]), 0) || values[i] != values[i] {
				return errors.Errorf("weight %q: value %d is %v, expected a magnitude of at most 65504", weight.Name, i, v)
			}
		}
		rounded[weight] = values
	}
	for weight, values := range rounded {
		copy(weight.Value.Float32s(), values)
	}
	m.HalfPrecision = true
	return nil
}

// halfPrecision reports of a weight, by its name, whether a file of HalfFormat has it in
// half precision: of all but those of batch norm, whose statistics have a wide range.
func halfPrecision(weights *graph.Weights) func(name string) bool {
	return func(name string) bool {
		layer := name[:strings.LastIndexByte(name, '.')+1]
		return weights.Get(layer+"running_var") == nil
	}
}

// own has what a file cannot contain: user-defined Go types.
type own struct {
	backbone backbone.Backbone // nil for that of the file
	head     heads.Head        // nil for that of the file
}

// LoadOption is an option of LoadWith.
type LoadOption func(*own)

// WithHead provides the head of a model whose head is user-defined. Its Name must be the
// name of the head with which the model was saved.
func WithHead(head heads.Head) LoadOption { return func(o *own) { o.head = head } }

// Load reads a model from a file that Save of this or an earlier version wrote. It is an
// error if the file has been changed since (ErrChecksum), if a weight is NaN or infinite,
// or if the backbone or the head is a user-defined Go type (ErrOwnBackbone, ErrOwnHead).
func Load(path string) (*Model, error) {
	return load(path, own{})
}

// LoadWith is Load for a model whose backbone or head, or both, are user-defined Go
// types, which a file cannot contain:
//
//	LoadWith(path, MyBackbone{})                     // a head of package heads
//	LoadWith(path, nil, WithHead(MyHead{}))          // a backbone.Network
//	LoadWith(path, MyBackbone{}, WithHead(MyHead{}))
//
// If the backbone is nil, that of the file is used. A backbone that has the weights of the
// file but embeds the file's probe differently (ErrOtherBackbone) is an error.
func LoadWith(path string, network backbone.Backbone, options ...LoadOption) (*Model, error) {
	own := own{backbone: network}
	for _, option := range options {
		if option != nil {
			option(&own)
		}
	}
	m, err := load(path, own)
	if err != nil || network == nil {
		return m, err
	}
	switch deviation, tolerance, err := m.ProbeDeviation(); {
	case errors.Is(err, ErrNoProbe):
	case err != nil:
		return nil, errors.Wrapf(err, "load model %s", path)
	case !(deviation <= tolerance):
		return nil, errors.Wrapf(ErrOtherBackbone, "load model %s: the embedding of the stored probe deviates by %.2g of its largest value, expected at most %g", path, deviation, tolerance)
	}
	return m, nil
}

// Read is Load for the content of a file in memory; errors begin with source.
func Read(data []byte, source string) (m *Model, err error) {
	file, intact, err := safetensors.ReadSealed(bytes.NewReader(data), int64(len(data)), source)
	if err != nil {
		return nil, errors.Wrap(explained(err), "read model")
	}
	m, err = fromFile(file, intact, own{})
	return m, errors.Wrapf(err, "read model %s", source)
}

// ReadPreprocessing is the preprocessing of the model that Read would return, without the rest: it
// reads the header only, and neither verifies the checksum nor builds the network. It is an error
// if the data are not a model file.
func ReadPreprocessing(data []byte, source string) (imaging.Preprocessing, error) {
	metadata, err := safetensors.ReadMetadata(bytes.NewReader(data), int64(len(data)), source)
	if err != nil {
		return imaging.Preprocessing{}, errors.Wrap(explained(err), "read model")
	}
	p, err := preprocessingOf(metadata)
	if err == nil {
		err = p.Validate()
	}
	if err != nil {
		return imaging.Preprocessing{}, errors.Wrapf(err, "read model %s", source)
	}
	return p, nil
}

func load(path string, own own) (m *Model, err error) {
	file, intact, err := safetensors.ReadSealedFile(path)
	if err != nil {
		return nil, errors.Wrap(explained(err), "load model")
	}
	m, err = fromFile(file, intact, own)
	return m, errors.Wrapf(err, "load model %s", path)
}

// explained adds what to do if a file is not a safetensors file.
func explained(err error) error {
	if errors.Is(err, safetensors.ErrOther) {
		return errors.WithMessage(err, "not a model file: use one that Model.Save or `likeness train` wrote, such as model.safetensors")
	}
	return err
}

// fromFile makes the model of a file. intact says that the file has been compared with its checksum.
func fromFile(file safetensors.File, intact bool, own own) (m *Model, err error) {
	defer func() {
		if caught(recover(), &err); err != nil {
			m = nil
		}
	}()
	if err := graph.EnvironmentError(); err != nil {
		return nil, err
	}
	if err := checkFormat(file, intact); err != nil {
		return nil, err
	}
	if m, err = described(file, own); err != nil {
		return nil, err
	}
	values, err := matched(m.Weights, m.ofWeights(file.Tensors))
	if err != nil {
		return nil, err
	}
	if m.HalfPrecision = file.Metadata[formatKey] == HalfFormat; m.HalfPrecision {
		half := halfPrecision(m.Weights)
		for _, t := range file.Tensors {
			if t.Half != half(t.Name) {
				return nil, errors.Errorf("weight %q: found half precision %v, expected %v in a file of %s", t.Name, t.Half, half(t.Name), HalfFormat)
			}
		}
	}
	for _, weight := range m.Weights.All() {
		copy(weight.Value.Float32s(), values[weight.Name])
	}
	return m, nil
}

// described is the model that a file describes, with weights of zero.
func described(file safetensors.File, own own) (*Model, error) {
	network, err := backboneOf(file.Metadata[backboneKey], own.backbone)
	if err != nil {
		return nil, err
	}
	head, err := headOf(file.Metadata[headKey], own.head)
	if err != nil {
		return nil, errors.Wrapf(err, "field %s", headKey)
	}
	preprocessing, err := preprocessingOf(file.Metadata)
	if err != nil {
		return nil, err
	}
	batches := []int{2, 3}
	if own.backbone == nil && own.head == nil {
		batches = batches[:1] // networks and heads of this module keep the batch size
	}
	var integers *quantized.Network
	isQuantized := file.Metadata[formatKey] == QuantizedFormat
	if isQuantized {
		if integers, err = integersOf(network, file.Tensors); err != nil {
			return nil, err
		}
	}
	m, err := build(network, head, preprocessing, graph.NewZeroWeights(graph.Float32), integers, batches...)
	if err != nil {
		return nil, err
	}
	m.Weights.Reseed(0) // for what a training adds
	if text, ok := file.Metadata[thresholdKey]; ok {
		threshold, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(threshold) {
			return nil, errors.Errorf("field %s: found %q, expected a number", thresholdKey, text)
		}
		m.Threshold = &threshold
	}
	if text, ok := file.Metadata[probeKey]; ok {
		if m.probe, err = parseProbe(text, isQuantized); err != nil {
			return nil, errors.Wrapf(err, "field %s", probeKey)
		}
	}
	return m, nil
}

// preprocessingOf is the preprocessing in a file's metadata.
func preprocessingOf(metadata map[string]string) (p imaging.Preprocessing, err error) {
	err = json.Unmarshal([]byte(metadata[preprocessingKey]), &p)
	return p, errors.Wrapf(err, "field %s", preprocessingKey)
}

// backboneOf is the backbone that a file describes, or the given one. A given list of
// blocks must be that of the file.
func backboneOf(text string, given backbone.Backbone) (backbone.Backbone, error) {
	if text == ownBackbone {
		if given == nil {
			return nil, errors.WithStack(ErrOwnBackbone)
		}
		return given, nil
	}
	network, isNetwork := given.(backbone.Network)
	if given != nil && !isNetwork {
		return given, nil // of a type that may embed as the file's blocks do
	}
	parsed, err := backbone.Parse(text, backboneKey)
	if err != nil || given == nil {
		return parsed, err
	}
	own, err := parsed.TOML()
	if err != nil {
		return nil, err
	}
	network.Name = parsed.Name // decides nothing
	if other, err := network.TOML(); err != nil || other != own {
		return nil, errors.Errorf("field %s: the file describes other blocks than those of the given backbone: give nil, for those of the file", backboneKey)
	}
	return given, nil
}

// headOf is the head that a file identifies, or the given one if it has that name and is
// a user-defined head where the file says so. Files of earlier versions of this program
// contain the names of user-defined heads without a prefix.
func headOf(identifier string, given heads.Head) (heads.Head, error) {
	name, isOwn := strings.CutPrefix(identifier, heads.OwnPrefix)
	if given != nil {
		if given.Name() != name {
			return nil, errors.Errorf("found %q, expected that of the given head, %q: give the head that the model was saved with", name, given.Name())
		}
		if heads.IsOwn(given) != isOwn && (isOwn || slices.Contains(heads.Names, name)) {
			return nil, errors.Errorf("found %q, but the given head is of the type %T: another head of the same name; give the head that the model was saved with", identifier, given)
		}
		return given, nil
	}
	if isOwn {
		return nil, errors.Wrapf(ErrOwnHead, "%q", name)
	}
	head, err := heads.Named(identifier)
	return head, errors.Wrap(err, "a user-defined head must be given to LoadWith")
}

// matched finds, for every weight, its values in the file, and refuses what does
// not fit. A weight that the embedding does not need, such as the bias of an
// objective, is added to the weights.
func matched(weights *graph.Weights, tensors []safetensors.Tensor) (map[string][]float32, error) {
	values := map[string][]float32{}
	for _, t := range tensors {
		data, ok := t.Data.([]float32)
		if !ok {
			return nil, errors.Errorf("weight %q: found elements of type %T, expected []float32: save a model whose weights are float32, see Weights.Convert", t.Name, t.Data)
		}
		if i, found := notFinite(data); found {
			return nil, errors.Errorf("weight %q: value %d is %v, expected a finite number: restore a copy of the file, or train anew", t.Name, i, data[i])
		}
		weight := weights.Get(t.Name)
		if weight == nil && strings.HasPrefix(t.Name, "head.") {
			if err := weights.Add(t.Name, graph.Bias, t.Shape, make([]float64, len(data))); err != nil {
				return nil, err
			}
			weight = weights.Get(t.Name)
		}
		if weight == nil {
			return nil, errors.Errorf("weight %q is not part of the network", t.Name)
		}
		if !weight.Value.Shape().Eq(tensor.Shape(t.Shape)) {
			return nil, errors.Errorf("weight %q: found shape %v, expected %v", t.Name, tensor.Shape(t.Shape), weight.Value.Shape())
		}
		values[t.Name] = data
	}
	for _, weight := range weights.All() {
		if values[weight.Name] == nil {
			return nil, errors.Errorf("weight %q is missing", weight.Name)
		}
	}
	return values, nil
}
