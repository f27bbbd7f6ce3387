package main

import (
	"fmt"
	"slices"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
)

// comparison is one case: a backbone with a loss.
type comparison struct {
	backbone string // its name in the table
	network  backbone.Network
	loss     loss
	batch    int // pairs, triplets or images
}

func (c comparison) name() string { return fmt.Sprintf("%s, %s", c.backbone, c.loss.name()) }

// cases are all backbones with all losses, but Koch's with its own and the
// first alone: that one is large.
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

// losses are those of package objectives, each with the head that it is known
// with, and contrastive with every head.
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
}

// loss is an objective with its head in the form that the peer reads.
type loss struct {
	Objective   string    `json:"objective"`
	Head        string    `json:"head"`
	Margin      float64   `json:"margin"` // 0 before it is chosen
	Scale       float64   `json:"scale"`  // of the ratio losses
	Temperature float64   `json:"temperature"`
	Soft        bool      `json:"soft"`
	Balanced    bool      `json:"balanced"`
	Penalties   []penalty `json:"penalties"`
	Towers      int       `json:"towers"`
}

type penalty struct {
	Pattern string  `json:"pattern"`
	Lambda  float64 `json:"lambda"`
}

// name is the loss in the table.
func (l loss) name() string {
	name := l.Objective
	if l.Soft {
		name += " soft"
	}
	if l.Balanced {
		name += " balanced"
	}
	name += ", " + l.Head
	if len(l.Penalties) > 0 {
		name += ", L2 penalty"
	}
	return name
}

// towers is how many embeddings the objective compares at a time, or 1 for a
// batch.
func towers(o objectives.Objective) int {
	switch o.(type) {
	case objectives.PairObjective:
		return 2
	case objectives.TripletObjective:
		return 3
	}
	return 1
}
