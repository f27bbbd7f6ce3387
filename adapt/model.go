package adapt

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
)

// Model returns a new model whose network is that of the given one followed by the layers of
// the adaptation, with the cosine distance and the threshold of the adaptation. If the
// embeddings stay frozen, the network and the distance are those of the given model. The
// type in which its file stores weights stays the same. The given model, which must be that
// of the embeddings, does not change. A user-defined backbone is an error, because layers
// cannot be added to it.
func (a *Adaptation) Model(model *likeness.Model) (*likeness.Model, error) {
	adapted, err := a.model(model)
	return adapted, errors.Wrap(err, "adapt")
}

func (a *Adaptation) model(model *likeness.Model) (*likeness.Model, error) {
	if a == nil || a.columns == 0 {
		return nil, errors.New("found an adaptation that is nil or zero, expected one of Fit")
	}
	network, err := networkOf(model)
	if err != nil {
		return nil, err
	}
	shape, err := backbone.ShapeOf(network)
	if err != nil {
		return nil, err
	}
	if shape.Features != a.columns {
		return nil, errors.Errorf("found a model of %d features, expected %d, those of the embeddings that were adapted", shape.Features, a.columns)
	}
	head := model.Head
	if len(a.layers) > 0 {
		head = heads.Cosine{}
		network.Blocks = slices.Clone(network.Blocks)
		for _, layer := range a.layers {
			network.Blocks = append(network.Blocks, layer.block)
		}
	}
	adapted, err := likeness.New(network, head, model.Preprocessing, 0)
	if err != nil {
		return nil, err
	}
	all := adapted.Weights.All()
	kept := slices.DeleteFunc(slices.Clone(all), func(w *graph.Weight) bool { return model.Weights.Get(w.Name) == nil })
	added := slices.DeleteFunc(slices.Clone(all), func(w *graph.Weight) bool { return model.Weights.Get(w.Name) != nil })
	for _, weight := range kept {
		was := model.Weights.Get(weight.Name)
		if !was.Value.Shape().Eq(weight.Value.Shape()) {
			return nil, errors.Errorf("weight %q: found the shape %v, expected %v", weight.Name, was.Value.Shape(), weight.Value.Shape())
		}
		copy(weight.Value.Float32s(), was.Value.Float32s())
		weight.Frozen = was.Frozen
	}
	if err := fill(added, a.layers); err != nil {
		return nil, err
	}
	if model.HalfPrecision {
		if err := adapted.RoundToHalf(); err != nil {
			return nil, err
		}
	}
	threshold := a.Threshold
	adapted.Threshold = &threshold
	return adapted, nil
}

// networkOf is the network of a model to which layers can be added.
func networkOf(model *likeness.Model) (backbone.Network, error) {
	if model == nil || model.Backbone == nil || model.Head == nil || model.Weights == nil {
		return backbone.Network{}, errors.New("found a model that is nil or lacks a part, expected one of likeness.New or likeness.Load")
	}
	if err := model.CheckFloat(); err != nil {
		return backbone.Network{}, err
	}
	network, ok := model.Backbone.(backbone.Network)
	if !ok {
		return backbone.Network{}, errors.Errorf("found a backbone of type %T, expected a backbone.Network, to which layers can be added", model.Backbone)
	}
	if len(network.Blocks) == 0 {
		return backbone.Network{}, errors.New("found a network without blocks")
	}
	return network, nil
}

// Folder embeds the images of a folder with one folder of images for each class, which may
// be in folders of groups, fits an adaptation and returns the adapted model. Files that are
// not images are ignored. An error names the file that cannot be read, wraps ErrTooFew if
// there are too few classes or images, or is that of the context.
func Folder(ctx context.Context, model *likeness.Model, folder string, o Options) (*likeness.Model, *Adaptation, error) {
	adapted, adaptation, err := adaptFolder(ctx, model, folder, o)
	return adapted, adaptation, errors.Wrapf(err, "adapt to %s", folder)
}

func adaptFolder(ctx context.Context, model *likeness.Model, folder string, o Options) (*likeness.Model, *Adaptation, error) {
	if ctx == nil {
		return nil, nil, errors.New("found no context")
	}
	// What can be checked is, before images are embedded.
	network, err := networkOf(model)
	if err != nil {
		return nil, nil, err
	}
	shape, err := backbone.ShapeOf(network)
	if err != nil {
		return nil, nil, err
	}
	if err := o.checkFeatures(shape.Features); err != nil {
		return nil, nil, err
	}
	found, err := imaging.Find(folder)
	if err != nil {
		return nil, nil, err
	}
	if _, err := labels(folder, found.Files); err != nil {
		return nil, nil, err
	}
	collection, err := retrieval.Embed(ctx, model, found.Files, retrieval.Options{SkipBroken: o.SkipBroken, OnProgress: o.OnProgress})
	if err != nil {
		return nil, nil, err
	}
	set := evaluate.Labeled{Embeddings: collection.Embeddings}
	if set.Labels, err = labels(folder, collection.Files); err != nil {
		return nil, nil, err
	}
	o.HalfPrecision = model.HalfPrecision
	adaptation, err := fit(ctx, collection.Metric, set, o)
	if err != nil {
		return nil, nil, err
	}
	adaptation.Skipped = collection.Skipped
	adapted, err := adaptation.model(model)
	return adapted, adaptation, err
}

// labels numbers the classes of image files by their folders, in the order of the files. It
// is an error if too few folders have two images, so that this is found before images are
// embedded.
func labels(folder string, files []string) ([]int, error) {
	numbers := map[string]int{}
	var found, counts []int
	parts := map[string]bool{} // the folders of the first level
	for _, file := range files {
		class, err := filepath.Rel(folder, filepath.Dir(file))
		if err != nil {
			return nil, errors.WithStack(err)
		}
		if class == "." {
			return nil, errors.Errorf("found the image %s in the folder itself, expected one folder of images for each class", file)
		}
		first, _, nested := strings.Cut(filepath.ToSlash(class), "/")
		if nested {
			parts[strings.ToLower(first)] = true
		}
		number, known := numbers[class]
		if !known {
			number = len(numbers)
			numbers[class] = number
			counts = append(counts, 0)
		}
		counts[number]++
		found = append(found, number)
	}
	if parts["train"] && (parts["test"] || parts["val"] || parts["validation"] || parts["valid"]) {
		return nil, errors.New("found folders train and test or val, of which each has the classes: give the one to adapt to, such as its folder train")
	}
	several := len(counts) - len(slices.DeleteFunc(slices.Clone(counts), func(count int) bool { return count > 1 }))
	if several < MinClasses {
		return nil, errors.Wrapf(ErrTooFew, "found %d folders of two or more images among %d folders, expected at least %d, one for each class", several, len(counts), MinClasses)
	}
	return found, nil
}
