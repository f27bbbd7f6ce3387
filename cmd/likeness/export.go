package main

import (
	"path/filepath"
	"strings"

	"github.com/likeness-go/likeness/onnx"
	"github.com/pkg/errors"
)

// exportCommand writes a model in another format.
type exportCommand struct {
	Model string `placeholder:"MODEL" help:"A model.safetensors, a run folder or a model of the zoo (${zoo}). Without it: omniglot of the zoo."`
	ONNX  string `name:"onnx" required:"" placeholder:"FILE.onnx" help:"Where to write the network: images to embeddings."`
	Head  string `placeholder:"FILE.onnx" help:"Where to write the head: two batches of embeddings to their distances. Without it: nowhere."`
}

// Help is what --help says beside the flags.
func (exportCommand) Help() string {
	return `It writes the network that embeds images as ONNX, for ONNX Runtime in Python, C++, a browser or a telephone, and on demand the distance of two embeddings.

Example:
  likeness export --model runs/photos --onnx network.onnx --head head.onnx

The network takes images (batch, channels, height, width), float32 from 0, black, to 255, of the model's size, in any batch, and gives embeddings (batch, features). It inverts and normalises the images itself. What it cannot do is to cut drawings to their ink: where the model was trained with --crop, cut before, by the numbers that this command prints and that the file's metadata keep under likeness.crop.

The head takes left and right, embeddings (batch, features) each, and gives distance (batch); after a training with a cross-entropy also probability (batch), that the two are of one class. The threshold up to which two images count as the same is in the metadata under likeness.threshold.

In Python:
  network = onnxruntime.InferenceSession("network.onnx")
  [x] = network.run(["embeddings"], {"images": a.astype(numpy.float32)})
  [y] = network.run(["embeddings"], {"images": b.astype(numpy.float32)})
  head = onnxruntime.InferenceSession("head.onnx")
  [distance] = head.run(["distance"], {"left": x, "right": y})`
}

// Run exports.
func (e *exportCommand) Run(c *console) error {
	for _, flag := range []struct{ name, path string }{{"onnx", e.ONNX}, {"head", e.Head}} {
		if extension := filepath.Ext(flag.path); flag.path != "" && extension != ".onnx" {
			return errors.Errorf("%s: found %q, expected a file that ends in .onnx", flag.name, flag.path)
		}
	}
	if filepath.Clean(e.ONNX) == filepath.Clean(e.Head) {
		return errors.Errorf("head: found %s for the network and the head, expected two files", e.Head)
	}
	model, _, err := loadModel(c, e.Model)
	if err != nil {
		return err
	}
	network, err := onnx.Network(model)
	if err != nil {
		return err
	}
	paths, written := []string{e.ONNX}, []*onnx.Model{network}
	if e.Head != "" {
		head, err := onnx.Head(model)
		if err != nil {
			return err
		}
		paths, written = append(paths, e.Head), append(written, head)
	}
	for i, path := range paths {
		if err := written[i].WriteFile(path); err != nil {
			return err
		}
		c.say("wrote %s: %s to %s", path, list(written[i].Inputs), list(written[i].Outputs))
	}
	c.say("%s", network.Inputs[0].Doc)
	return nil
}

// list is such as "left (batch, 64) and right (batch, 64)".
func list(values []onnx.Value) string {
	var texts []string
	for _, value := range values {
		texts = append(texts, value.String())
	}
	return strings.Join(texts, " and ")
}
