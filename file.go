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
	"github.com/pkg/errors"
)

// A model file is a safetensors file: the weights in canonical layout under
// PyTorch's names, and in the metadata what else determines the function.
const (
	formatKey        = "likeness.format"
	backboneKey      = "likeness.backbone"      // TOML, as backbone.Parse reads it
	headKey          = "likeness.head"          // its name
	preprocessingKey = "likeness.preprocessing" // JSON of imaging.Preprocessing
	thresholdKey     = "likeness.threshold"     // a number; missing when not calibrated
	probeKey         = "likeness.probe"         // JSON of probe; missing where there is none
)

// ErrOwnBackbone says that a file cannot say how its model embeds.
var ErrOwnBackbone = errors.New("the backbone is a Go type of its author's own: use LoadWith")

// ownBackbone stands in the metadata for a backbone that is no list of blocks.
const ownBackbone = "own"

// Save writes the model to one file, whole or not at all. Equal models are
// equal files, byte for byte. The file has a checksum of all that it holds and
// the embedding of a picture, by which Load and ProbeDeviation find what is not
// as it was saved. A model with a weight or a threshold that is no finite number
// is an error.
func (m *Model) Save(path string) error {
	file, err := m.sealed()
	if err != nil {
		return errors.Wrapf(err, "save model %s", path)
	}
	return errors.Wrapf(safetensors.WriteFile(path, file), "save model %s", path)
}

// sealed is the model's file with its probe and its checksum.
func (m *Model) sealed() (safetensors.File, error) {
	if err := m.Preprocessing.Validate(); err != nil {
		return safetensors.File{}, err
	}
	if err := m.checkFinite(); err != nil {
		return safetensors.File{}, err
	}
	file, err := m.content()
	if err != nil {
		return safetensors.File{}, err
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
	for _, weight := range m.Weights.All() {
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

// notFinite finds the first value that is NaN or infinite.
func notFinite(values []float32) (index int, found bool) {
	index = slices.IndexFunc(values, func(v float32) bool { return v-v != 0 })
	return index, index >= 0
}

// content is what the model's file holds.
func (m *Model) content() (safetensors.File, error) {
	metadata := map[string]string{formatKey: Format, headKey: m.Head.Name(), backboneKey: ownBackbone}
	if network, ok := m.Backbone.(backbone.Network); ok {
		text, err := network.TOML()
		if err != nil {
			return safetensors.File{}, err
		}
		metadata[backboneKey] = text
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
	for _, weight := range m.Weights.All() {
		file.Tensors = append(file.Tensors, safetensors.Tensor{
			Name: weight.Name, Shape: weight.Value.Shape(), Data: weight.Value.Data(),
		})
	}
	return file, nil
}

// Load reads a model from the file that Save wrote, of this version or one
// before. A file that has changed since is an error.
func Load(path string) (*Model, error) {
	return load(path, nil)
}

// LoadWith is Load for a model whose backbone is a Go type of the user's own,
// which a file cannot hold.
func LoadWith(path string, backbone backbone.Backbone) (*Model, error) {
	return load(path, backbone)
}

// Read reads a model from the bytes of such a file; errors begin with source.
func Read(data []byte, source string) (*Model, error) {
	file, err := safetensors.Read(bytes.NewReader(data), int64(len(data)), source)
	if err != nil {
		return nil, errors.Wrap(err, "read model")
	}
	m, err := fromFile(file, nil)
	return m, errors.Wrapf(err, "read model %s", source)
}

func load(path string, own backbone.Backbone) (*Model, error) {
	file, err := safetensors.ReadFile(path)
	if err != nil {
		return nil, errors.Wrap(err, "load model")
	}
	m, err := fromFile(file, own)
	return m, errors.Wrapf(err, "load model %s", path)
}

func fromFile(file safetensors.File, own backbone.Backbone) (*Model, error) {
	if err := checkFormat(file); err != nil {
		return nil, err
	}
	if own == nil {
		text := file.Metadata[backboneKey]
		if text == ownBackbone {
			return nil, errors.WithStack(ErrOwnBackbone)
		}
		network, err := backbone.Parse(text, backboneKey)
		if err != nil {
			return nil, err
		}
		own = network
	}
	head, err := heads.Named(file.Metadata[headKey])
	if err != nil {
		return nil, errors.Wrapf(err, "field %s", headKey)
	}
	var preprocessing imaging.Preprocessing
	if err := json.Unmarshal([]byte(file.Metadata[preprocessingKey]), &preprocessing); err != nil {
		return nil, errors.Wrapf(err, "field %s", preprocessingKey)
	}
	m, err := New(own, head, preprocessing, 0)
	if err != nil {
		return nil, err
	}
	if text, ok := file.Metadata[thresholdKey]; ok {
		threshold, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, errors.Errorf("field %s: found %q, expected a number", thresholdKey, text)
		}
		m.Threshold = &threshold
	}
	if text, ok := file.Metadata[probeKey]; ok {
		if m.probe, err = parseProbe(text); err != nil {
			return nil, errors.Wrapf(err, "field %s", probeKey)
		}
	}
	return m, fill(m.Weights, file.Tensors)
}

// fill overwrites the drawn weights with those of the file. A weight that the
// embedding does not need, such as the bias of an objective, is added.
func fill(weights *graph.Weights, tensors []safetensors.Tensor) error {
	source := graph.NewWeights(graph.Float32, 0)
	for _, t := range tensors {
		data, ok := t.Data.([]float32)
		if !ok {
			return errors.Errorf("weight %q: found elements of type %T, expected float32", t.Name, t.Data)
		}
		role := graph.Bias
		if known := weights.Get(t.Name); known != nil {
			role = known.Role
		} else if strings.HasPrefix(t.Name, "head.") {
			if err := addWeight(weights, t, role, data); err != nil {
				return err
			}
		}
		if err := addWeight(source, t, role, data); err != nil {
			return err
		}
	}
	return weights.CopyFrom(source)
}

func addWeight(weights *graph.Weights, t safetensors.Tensor, role graph.Role, data []float32) error {
	elements := make([]float64, len(data))
	for i, v := range data {
		elements[i] = float64(v)
	}
	return weights.Add(t.Name, role, t.Shape, elements)
}
