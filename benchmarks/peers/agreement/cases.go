package main

import (
	"fmt"
	"slices"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"gonum.org/v1/gonum/stat"
	"gorgonia.org/gorgonia"
)

// comparison is a case: a backbone with a loss.
type comparison struct {
	backbone string // name in the table
	network  backbone.Network
	loss     loss
	batch    int // number of pairs, triplets or images
}

func (c comparison) name() string { return fmt.Sprintf("%s, %s", c.backbone, c.loss.name()) }

// cases returns all backbones with all losses, except that Koch's network, which is large,
// is combined only with its own loss and the first one.
func cases() []comparison {
	size := imaging.Size{Height: 28, Width: 28, Channels: 1}
	networks := []struct {
		name    string
		network backbone.Network
	}{
		{"conv4 with batch norm", backbone.Conv4(size, 32, true)},
		{"conv4", backbone.Conv4(size, 32, false)},
		{"conv7", backbone.Conv7(size, 8)},
		{"digits", backbone.Digits(size)},
		{"hadsell", backbone.Hadsell(2)},
		{"hoffer-cifar", backbone.HofferCIFAR()},
		{"hoffer-mnist", backbone.HofferMNIST()},
		{"lenet", backbone.LeNet(size, 32, 64)},
		{"residual", backbone.Residual(size, 16)},
		{"koch", backbone.Koch()},
	}
	kochs := []loss{losses[0], losses[slices.IndexFunc(losses, func(l loss) bool { return len(l.Penalties) > 0 })]}
	var all []comparison
	for _, n := range networks {
		with, batch := losses, 12
		if n.name == "koch" {
			with, batch = kochs, 2
		}
		for _, l := range with {
			all = append(all, comparison{n.name, n.network, l, batch})
		}
	}
	return all
}

// losses are the losses of package objectives, each with the heads it is commonly used
// with, and the contrastive loss with every metric head.
var losses = []loss{
	{Objective: "contrastive", Head: "l2"},
	{Objective: "contrastive", Head: "l1"},
	{Objective: "contrastive", Head: "weighted-l1"},
	{Objective: "contrastive", Head: "cosine"},
	{Objective: "triplet", Head: "l2"},
	{Objective: "triplet", Head: "squared-l2"},
	{Objective: "triplet", Head: "l2", Soft: true},
	{Objective: "triplet-ratio", Head: "l2", Scale: 1},
	{Objective: "triplet-ratio", Head: "cosine", Scale: 20},
	{Objective: "cross-entropy", Head: "signed-weighted-l1", Penalties: []penalty{{"conv1.*", 0.02}, {"*", 0.01}}},
	{Objective: "batch-contrastive", Head: "l2"},
	{Objective: "batch-contrastive", Head: "cosine", Balanced: true},
	{Objective: "batch-cross-entropy", Head: "signed-weighted-l1"},
	{Objective: "batch-cross-entropy", Head: "l2", Balanced: true},
	{Objective: "batch-all", Head: "l2"},
	{Objective: "batch-all", Head: "weighted-l1", Soft: true},
	{Objective: "batch-hard", Head: "l2"},
	{Objective: "batch-hard", Head: "l1", Soft: true},
	{Objective: "batch-ratio", Head: "cosine", Scale: 20},
	{Objective: "semi-hard", Head: "squared-l2"},
	{Objective: "n-pair", Head: "cosine", Temperature: 0.05},
	{Objective: "supervised-contrastive", Head: "cosine", Temperature: 0.1},
	{Objective: "nca", Head: "squared-l2", Temperature: 1},
	{Objective: "prototypical", Head: "squared-l2", Temperature: 1},
	{Objective: "prototypical", Head: "cosine", Temperature: 0.05},
	// Scales smaller than the defaults, at which the losses are not zero in float32.
	{Objective: "arcface", Head: "cosine", Margin: 28.6, Scale: 16},
	{Objective: "subcenter-arcface", Head: "cosine", Margin: 28.6, Scale: 16, Centers: 3},
	{Objective: "cosface", Head: "cosine", Margin: 0.35, Scale: 16},
	{Objective: "normalized-softmax", Head: "cosine", Temperature: 0.05},
	{Objective: "soft-triple", Head: "cosine", Margin: 0.01, Scale: 20, Temperature: 0.1, Centers: 10},
	{Objective: "proxy-nca", Head: "cosine", Temperature: 0.5},
	{Objective: "proxy-nca++", Head: "squared-l2", Temperature: 1},
	{Objective: "proxy-anchor", Head: "cosine", Margin: 0.1, Scale: 32},
	{Objective: "angular", Head: "cosine"},
	{Objective: "batch-hard", Head: "l2", Mining: objectives.EasyPositive},
	{Objective: "circle", Head: "cosine", Scale: 80},
	{Objective: "fastap", Head: "cosine"},
	{Objective: "lifted-structure", Head: "l2"},
	{Objective: "margin", Head: "cosine", Mining: objectives.AllPairs}, // sampling would differ
	{Objective: "multi-similarity", Head: "cosine"},
	{Objective: "n-pair", Head: "cosine", Temperature: 0.05, Mining: objectives.EasyPositive},
	{Objective: "smooth-ap", Head: "cosine", Temperature: 0.1},
	{Objective: "tuplet-margin", Head: "cosine", Scale: 64},
	{Objective: "simclr", Head: "cosine", Temperature: 0.1},
	{Objective: "vicreg", Head: "cosine"},
	{Objective: "barlow-twins", Head: "cosine"},
}

// loss is an objective with its head, in the JSON form that the peer reads.
type loss struct {
	Objective   string            `json:"objective"`
	Head        string            `json:"head"`
	Margin      float64           `json:"margin"` // 0 until it is chosen
	Scale       float64           `json:"scale"`
	Temperature float64           `json:"temperature"`
	Centers     int               `json:"centers"` // vectors of each class; 0 for one
	Soft        bool              `json:"soft"`
	Balanced    bool              `json:"balanced"`
	Mining      objectives.Mining `json:"mining"`
	Penalties   []penalty         `json:"penalties"`
	Towers      int               `json:"towers"`
}

type penalty struct {
	Pattern string  `json:"pattern"`
	Lambda  float64 `json:"lambda"`
}

// name returns the name of the loss in the table.
func (l loss) name() string {
	name := l.Objective
	if l.Soft {
		name += " soft"
	}
	if l.Balanced {
		name += " balanced"
	}
	if l.Mining != "" {
		name += " " + string(l.Mining)
	}
	name += ", " + l.Head
	if len(l.Penalties) > 0 {
		name += ", L2 penalty"
	}
	return name
}

// problem is a case with its objective, head and inputs.
type problem struct {
	comparison
	objective objectives.Loss
	head      heads.Head
	images    [][]float64 // by tower: (batch, height, width, channels)
	labels    []float64   // (batch): 1 for pairs of different classes, 0 for others; class numbers for batches
}

// kinds is the number of classes of labeled images.
const kinds = 3

// problem generates the inputs, which differ for each draw.
func (c comparison) problem(draw int) (problem, error) {
	l := c.loss
	options := objectives.Options{Margin: l.Margin, Scale: l.Scale, Temperature: l.Temperature, Soft: l.Soft, Balanced: l.Balanced, Centers: l.Centers, Mining: l.Mining}
	options.Features = 1 // any value: the margin is chosen from the distances later
	objective, head, err := objectives.Named(l.Objective, l.Head, options)
	if err != nil {
		return problem{}, err
	}
	p := problem{comparison: c, objective: objective, head: head}
	p.loss.Towers = objective.Kind().Towers()
	for tower := range p.loss.Towers {
		r := random.New(1, "images", c.name(), tower, draw)
		images := make([]float64, c.batch*c.network.Size.Len())
		for i := range images {
			images[i] = float64(r.Float32())
		}
		p.images = append(p.images, images)
	}
	different := kinds
	if p.loss.Towers == 2 {
		different = 2
	}
	for i := range c.batch {
		p.labels = append(p.labels, float64(i%different))
	}
	return p, nil
}

// hasMargin reports whether the loss has a margin that is chosen from the distances.
func (p problem) hasMargin() bool {
	_, vectors := p.objective.(objectives.ClassVectorLoss) // whose margins are no distances
	return !vectors && objectives.DefaultMargin(p.objective, p.head, 1) > 0
}

// marginFrom chooses a margin from the distances such that the loss is zero for some pairs
// or triplets and positive for others: about half of the pairs, a quarter of the triplets.
func (p problem) marginFrom(distances []float64) float64 {
	distances = slices.DeleteFunc(distances, func(d float64) bool { return d == 0 })
	mean, stdDev := stat.MeanStdDev(distances, nil)
	margin := mean
	if _, triplets := p.objective.(objectives.MarginLoss); triplets {
		margin = stdDev
	}
	return float64(float32(margin)) // the same value in float32 and float64
}

// embed adds the network to the graph for the images of each tower.
func (p problem) embed(b *graph.Builder, network backbone.Network) []*graph.Node {
	var embeddings []*graph.Node
	size := network.Size
	for i := range p.images {
		images := b.Input(inputName(i), p.batch, size.Height, size.Width, size.Channels)
		embeddings = append(embeddings, network.Embed(b, images))
	}
	return embeddings
}

// evaluation builds the graph of the embeddings.
func (p problem) evaluation(b *graph.Builder) graph.Outputs {
	outputs := graph.Outputs{}
	for i, node := range p.embed(b, p.network) {
		outputs[embeddingsName(i)] = node
	}
	return outputs
}

// training builds the graph of the loss, without dropout, whose random masks would differ.
func (p problem) training(b *graph.Builder) graph.Outputs {
	network := p.network
	network.Blocks = slices.DeleteFunc(slices.Clone(network.Blocks), func(block graph.Block) bool { return block.Kind() == "dropout" })
	towers := p.embed(b, network)
	outputs := graph.Outputs{}
	batch := objectives.Batch{Embeddings: towers, Head: p.head, Classes: kinds}
	if kind := p.objective.Kind(); kind != datasets.Triplets && kind != datasets.Views {
		batch.Labels = b.Input("labels", p.batch)
	}
	if p.objective.Kind() == datasets.Labeled {
		outputs["distances"] = batch.Pairwise(b)
	} else {
		outputs["distances"] = batch.Paired(b, 0, 1)
	}
	outputs[graph.Cost] = p.objective.Cost(b, batch)
	if len(p.loss.Penalties) > 0 {
		var penalties []objectives.WeightPenalty
		for _, each := range p.loss.Penalties {
			penalties = append(penalties, objectives.WeightPenalty(each))
		}
		outputs[graph.Cost] = b.Node(gorgonia.Add(outputs[graph.Cost], objectives.Penalty(b, penalties)))
	}
	return outputs
}

// run builds a graph, sets its inputs and runs it once.
func (p problem) run(weights *graph.Weights, mode graph.Mode, draw func(*graph.Builder) graph.Outputs) (*graph.Program, error) {
	program, err := graph.Build(weights, mode, draw)
	if err != nil {
		return nil, err
	}
	inputs := map[string][]float64{"labels": p.labels}
	for i, images := range p.images {
		inputs[inputName(i)] = images
	}
	for name, values := range inputs {
		if program.Input(name) == nil {
			continue
		}
		if err := program.Set(name, values); err != nil {
			return nil, err
		}
	}
	return program, program.Run()
}

func inputName(tower int) string      { return fmt.Sprint("images ", tower) }
func embeddingsName(tower int) string { return fmt.Sprint("embeddings ", tower) }
