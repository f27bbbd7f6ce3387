package likeness

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
)

// Format is the version of the model file that Save writes.
const Format = "likeness/1"

// A model file is a safetensors file: the weights in canonical layout under
// PyTorch's names, and in the metadata what else determines the function.
const (
	formatKey        = "likeness.format"
	backboneKey      = "likeness.backbone"      // TOML, as backbone.Parse reads it
	headKey          = "likeness.head"          // its name
	preprocessingKey = "likeness.preprocessing" // JSON of imaging.Preprocessing
	thresholdKey     = "likeness.threshold"     // a number; missing when not calibrated
)

// ownBackbone stands in the metadata for a backbone that is no list of blocks.
const ownBackbone = "own"

// Save writes the model to one file, whole or not at all. Equal models are
// equal files, byte for byte.
func (m *Model) Save(path string) error {
	file, err := m.content()
	if err != nil {
		return errors.Wrapf(err, "save model %s", path)
	}
	return errors.Wrapf(safetensors.WriteFile(path, file), "save model %s", path)
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

// Load reads a model from the file that Save wrote.
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
	switch format := file.Metadata[formatKey]; format {
	case Format:
	case "":
		return nil, errors.Errorf("field %s is missing: this is not a likeness model", formatKey)
	default:
		return nil, errors.Errorf("field %s: found %q, expected %q", formatKey, format, Format)
	}
	if own == nil {
		text := file.Metadata[backboneKey]
		if text == ownBackbone {
			return nil, errors.New("the backbone is a Go type of its author's own: use LoadWith")
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
