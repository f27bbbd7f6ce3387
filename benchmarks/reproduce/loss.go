package main

import (
	"context"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
)

// unit is Conv7 with embeddings of length 1, for l2 distances with a margin.
func unit(size imaging.Size) backbone.Network {
	network := backbone.Conv7(size, 32)
	network.Blocks = append(network.Blocks, graph.Normalize{})
	return network
}

// losses are the recipes of the losses of the papers by themselves: what
// differs from the usual one.
var losses = map[string]struct {
	method string
	unit   bool // embeddings have length 1
	change func(*recipe)
}{
	"batch-contrastive": {"contrastive, l2 of unit vectors, all pairs of a batch", true, func(r *recipe) {
		r.network, r.head = unit, heads.L2{}
		r.objective = objectives.BatchContrastive{Margin: 1, Balanced: true}
	}},
	"triplet": {"triplet with margin, cosine, all triplets of a batch", false, func(r *recipe) {
		r.objective = objectives.BatchAll{Margin: 0.2}
	}},
	"ratio": {"softmax ratio, cosine, all triplets of a batch", false, func(r *recipe) {
		r.objective = objectives.BatchRatio{Scale: 20}
	}},
	"cross-entropy": {"cross-entropy, weighted l1, all pairs of a batch", true, func(r *recipe) {
		r.network, r.head = unit, heads.WeightedL1{Signed: true}
		r.objective = objectives.BatchCrossEntropy{Balanced: true}
	}},
}

// loss trains by one loss alone on the background alphabets.
func loss(name string) func(context.Context, settings) ([]Row, error) {
	return func(ctx context.Context, s settings) ([]Row, error) {
		splits, runs, err := s.open("background")
		if err != nil {
			return nil, err
		}
		r := usual(backgroundSteps)
		losses[name].change(&r)
		network, took, err := r.train(ctx, s, splits.Train)
		if err != nil {
			return nil, err
		}
		settings, err := r.settings(s)
		if err != nil {
			return nil, err
		}
		row := Row{Settings: settings, Protocol: "Lake's 20 runs, 30 background alphabets, one loss of the papers by itself", Published: "Koch 92.0"}
		field, err := newField(network)
		if err != nil {
			return nil, err
		}
		return field.measure(s.fill(row, losses[name].method, took), lake(runs, splits.Train.Size), r.head.Name() == "cosine")
	}
}
