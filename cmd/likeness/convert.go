package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/onnx"
	"github.com/likeness-go/likeness/pytorch"
	"github.com/likeness-go/likeness/run"
	"github.com/pkg/errors"
)

// importCommand imports weights that were trained in another framework, or a network with
// its weights.
type importCommand struct {
	Weights     string    `arg:"" placeholder:"FILE" help:"Network in ONNX format, .onnx; or file of PyTorch weights: .pth or .pt, as torch.save writes it, or safetensors."`
	Backbone    string    `placeholder:"NAME" help:"Network for the weights: ${backbones}; or a .toml file that lists its blocks. Not for ONNX files, which have the network."`
	Cut         string    `placeholder:"NAME" help:"Tensor or node of an ONNX file at which the network ends, such as the tensor before a classifier. Default: the output of the file."`
	Width       int       `placeholder:"N" help:"Number of filters in the layers of conv4, conv7, lenet and residual."`
	BatchNorm   bool      `help:"Batch normalization in conv4."`
	Features    int       `placeholder:"N" help:"Embedding dimension of hadsell and lenet; of the networks for photographs, that of a new layer at the end."`
	Pooling     string    `placeholder:"NAME" help:"Pooling of the networks for photographs: average (the default) or gem."`
	Size        string    `placeholder:"HxWxC" help:"Input size, such as 28x28x1, if the network takes images of any size. Default for the networks for photographs: 224x224x3; for an ONNX file its own."`
	Mapping     string    `placeholder:"FILE" help:"TOML file that maps tensors to weights. Default: by published names, by name or by order."`
	Head        string    `placeholder:"NAME" help:"Distance between two embeddings: l2, squared-l2, l1, weighted-l1 or cosine. Default: cosine for the networks for photographs, l2 for others."`
	Invert      bool      `help:"Invert images before they enter the network."`
	Mean        []float64 `placeholder:"M" help:"Mean of each channel for normalization, on the scale of 0 to 1. Default: that of the published weights for the networks for photographs, 0 for others or with --std."`
	Std         []float64 `placeholder:"S" help:"Standard deviation of each channel for normalization, on the scale of 0 to 1. Default: that of the published weights for the networks for photographs, 1 for others or with --mean."`
	ShorterSide int       `placeholder:"PIXELS" help:"Resize the shorter side of images to this length and crop the center, such as 256 for 224x224, instead of stretching them."`
	Seed        uint64    `default:"1" placeholder:"N" help:"Random seed for weights that the file does not have. [1]"`
	Out         string    `placeholder:"MODEL" help:"Model file to write. Without it the mapping is only checked and printed, and an ONNX file only checked."`
}

// Help returns the text of --help before the flags.
func (importCommand) Help() string {
	return `It loads weights from a file of PyTorch into a network with the same layers, or a network with its weights from an ONNX file, and writes a model for train --from, embed --model and compare --model.

The published weights of a network for photographs need no more than its name. Its classifier is ignored, and its normalization is that of the weights:
  likeness fetch resnet18 --to .
  likeness import resnet18-f37072fd.pth --backbone resnet18 --out resnet18.safetensors
  likeness train --data photos --from resnet18.safetensors

Weights of your own, saved in Python:
  torch.save(network.state_dict(), "weights.pth")

Example:
  likeness import weights.pth --backbone net.toml --mean 0.1307 --std 0.3081 --out model.safetensors

A .pth file may also be a checkpoint with the state dict under state_dict, model_state_dict or model. It is read without Python: a file with anything but numbers, texts, containers and tensors is refused.

The layers of a torch.nn.Sequential (0.weight, 3.weight, …) are mapped in order if each has a counterpart of the same shape, and the mapping is printed. If the mapping is ambiguous, a template is printed to standard output and nothing is written. Complete it and pass it with --mapping:
  likeness import weights.pth --backbone net.toml > mapping.toml

A mapping has the weight of the model before each equals sign and the tensor of the file after it:
  ignore = ["classifier"]           # tensors that are not used
  initial = ["linear1"]             # weights that the file does not have
  [weights]
  conv1 = "features.0"              # a layer: weight, bias, running_mean, running_var
  conv2.weight = "features.3.weight"
  linear2 = { name = "fc", layout = "io" }

The layouts are those of PyTorch. Tensors of other frameworks need their layout: hwio or ohwi for a convolution, io for a fully connected layer, (hwc)o or o(hwc) for a fully connected layer on images that were flattened with channels last.

Every tensor must be mapped or ignored, and every weight mapped or initial; anything else is an error.

A convolutional network in ONNX format needs no other file:
  likeness import network.onnx --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --out model.safetensors

It must be a sequence with residual blocks and squeeze-and-excite, exported in evaluation mode, with its weights in the file. An operator that is not supported is an error that names its node. --cut NAME leaves out what follows a tensor, such as the classifier, whose tensor the command names. A file of likeness export has its own preprocessing and distance, and gives the model that was exported.`
}

func (i *importCommand) isONNX() bool { return strings.EqualFold(filepath.Ext(i.Weights), ".onnx") }

// Validate checks that the flags suit the kind of file.
func (i *importCommand) Validate() error {
	if !i.isONNX() {
		switch {
		case i.Backbone == "":
			return errors.New("missing flags: --backbone=NAME, the network for the weights; only ONNX files (.onnx) have the network")
		case i.Cut != "":
			return errors.Errorf("--cut: found %s, expected an ONNX file (.onnx)", i.Weights)
		}
		return nil
	}
	for _, flag := range []struct {
		name  string
		given bool
	}{
		{"--backbone", i.Backbone != ""}, {"--width", i.Width != 0}, {"--batch-norm", i.BatchNorm}, {"--features", i.Features != 0}, {"--pooling", i.Pooling != ""}, {"--mapping", i.Mapping != ""},
	} {
		if flag.given {
			return errors.Errorf("%s: %s is an ONNX file, which has its own network and weights: leave the flag out", flag.name, i.Weights)
		}
	}
	return nil
}

// Run imports.
func (i *importCommand) Run(c *console) error {
	if err := i.refuseSource(); err != nil {
		return err
	}
	if i.isONNX() {
		return i.network(c)
	}
	model, err := i.model()
	if err != nil {
		return err
	}
	file, err := pytorch.Open(i.Weights)
	if err != nil {
		return err
	}
	mapping, err := i.mapping(c, file, model)
	if err != nil {
		return err
	}
	if err := file.Fill(model, mapping); err != nil {
		return err
	}
	return i.write(c, model, "the mapping is complete")
}

// write saves the model if there is a name for it.
func (i *importCommand) write(c *console, model *likeness.Model, complete string) error {
	if i.Out == "" {
		c.say("%s; write the model with --out FILE", complete)
		return nil
	}
	if err := model.Save(i.Out); err != nil {
		return err
	}
	c.say("wrote %s: for likeness train --from, and for embed, compare and export --model", i.Out)
	return nil
}

// network imports an ONNX file.
func (i *importCommand) network(c *console) error {
	size, err := run.ParseSize(i.Size)
	if err != nil {
		return err
	}
	o := onnx.ImportOptions{
		Cut: i.Cut, Seed: i.Seed, Preprocessing: imaging.Preprocessing{Size: size, Invert: i.Invert, ShorterSide: i.ShorterSide, Mean: i.Mean, StdDev: i.Std},
	}
	if i.Head != "" {
		if o.Head, err = heads.Named(i.Head); err != nil {
			return errors.WithMessage(err, "--head")
		}
	}
	imported, err := onnx.Import(i.Weights, o)
	if err != nil {
		return err
	}
	model := imported.Model
	shape, err := backbone.ShapeOf(model.Backbone)
	if err != nil {
		return err
	}
	c.say("read a network from images of %v to %d features, with %d parameters", model.Preprocessing.Size, shape.Features, shape.Parameters)
	if imported.Classifier != "" {
		c.say("the last layer looks like a classifier of %d classes: --cut %s leaves it out", imported.Classes, imported.Classifier)
	}
	if p := model.Preprocessing; len(p.Mean)+len(p.StdDev) == 0 {
		c.say("images enter the network with values from 0 to 1: name the mean and the standard deviation of its training with --mean and --std, if it had others than 0 and 1")
	}
	return i.write(c, model, "the network is complete")
}

// refuseSource keeps the weights from being overwritten by the model.
func (i *importCommand) refuseSource() error {
	source, err := os.Stat(i.Weights)
	if err != nil {
		return errors.Wrap(err, "find weights")
	}
	if target, err := os.Stat(i.Out); err == nil && os.SameFile(source, target) {
		return errors.Errorf("--out: %s is the file of the weights: choose another", i.Out)
	}
	return nil
}

// model is the network with new weights. The published weights of a network have a size,
// a normalization and a head that they are used with, unless flags name others.
func (i *importCommand) model() (*likeness.Model, error) {
	standard, published := pytorch.Preprocessing(i.Backbone)
	settings := run.Settings{Backbone: i.Backbone, Width: i.Width, BatchNorm: i.BatchNorm, Features: i.Features, Pooling: i.Pooling, Size: i.Size}
	preprocessing := imaging.Preprocessing{Invert: i.Invert, ShorterSide: i.ShorterSide, Mean: i.Mean, StdDev: i.Std}
	headName := "l2"
	if published {
		headName = "cosine"
		settings.Size = cmp.Or(i.Size, standard.Size.String())
		if len(i.Mean)+len(i.Std) == 0 {
			preprocessing.Mean, preprocessing.StdDev = standard.Mean, standard.StdDev
		}
	}
	network, err := run.Network(settings)
	if err != nil {
		return nil, err
	}
	head, err := heads.Named(cmp.Or(i.Head, headName))
	if err != nil {
		return nil, errors.WithMessage(err, "--head")
	}
	preprocessing.Size = network.Size
	return likeness.New(network, head, preprocessing, i.Seed)
}

// mapping is that of the flag, or the one that leaves no doubt.
func (i *importCommand) mapping(c *console, file *pytorch.File, model *likeness.Model) (pytorch.Mapping, error) {
	if i.Mapping != "" {
		text, err := os.ReadFile(i.Mapping)
		if err != nil {
			return pytorch.Mapping{}, errors.Wrap(err, "read mapping")
		}
		return pytorch.ParseMapping(string(text), i.Mapping)
	}
	mapping, err := file.Derive(model)
	if err != nil {
		fmt.Fprint(c.out, file.Skeleton(model))
		return mapping, errors.WithMessage(err, "--mapping")
	}
	fmt.Fprint(c.out, mapping.TOML())
	if len(mapping.Ignore) > 0 {
		c.say("ignored, because the network has no such layers: %s", strings.Join(mapping.Ignore, ", "))
	}
	if len(mapping.Initial) > 0 {
		c.say("initialized from seed %d, because the published network has no such layers: %s", i.Seed, strings.Join(mapping.Initial, ", "))
	}
	return mapping, nil
}

// exportCommand writes a model in another format.
type exportCommand struct {
	Model string `placeholder:"MODEL" help:"Model file, run folder or name of a bundled model (${zoo}). Default: omniglot."`
	ONNX  string `name:"onnx" required:"" placeholder:"FILE.onnx" help:"File for the network, from images to embeddings."`
	Head  string `placeholder:"FILE.onnx" help:"File for the head, from two batches of embeddings to their distances. Default: none."`
}

// Help returns the text of --help before the flags.
func (exportCommand) Help() string {
	return `It writes the network that embeds images in ONNX format, for ONNX Runtime in Python, C++, a browser or on a phone, and optionally the distance between two embeddings.

Example:
  likeness export --model runs/photos --onnx network.onnx --head head.onnx

The network maps images (batch, channels, height, width), float32 from 0 (black) to 255, of the model's size and with any batch size, to embeddings (batch, features). It includes inversion and normalization, but not cropping to the foreground: for a model that was trained with --crop, crop the images first, with the parameters that this command prints and that are in the metadata under likeness.crop.

The head maps left and right, embeddings (batch, features) each, to distance (batch) and, for a model that was trained with a cross-entropy, to probability (batch), that both images are of one class. The metadata has the threshold, the largest distance of images of one class, under likeness.threshold.

In Python:
  network = onnxruntime.InferenceSession("network.onnx")
  [x] = network.run(["embeddings"], {"images": a.astype(numpy.float32)})
  [y] = network.run(["embeddings"], {"images": b.astype(numpy.float32)})
  head = onnxruntime.InferenceSession("head.onnx")
  [distance] = head.run(["distance"], {"left": x, "right": y})`
}

// Run exports.
func (e *exportCommand) Run(c *console) error {
	for _, flag := range []struct{ name, path string }{{"--onnx", e.ONNX}, {"--head", e.Head}} {
		if extension := filepath.Ext(flag.path); flag.path != "" && extension != ".onnx" {
			return errors.Errorf("%s: found %q, expected a file that ends in .onnx", flag.name, flag.path)
		}
	}
	if filepath.Clean(e.ONNX) == filepath.Clean(e.Head) {
		return errors.Errorf("--head: found %s for the network and the head, expected two files", e.Head)
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
