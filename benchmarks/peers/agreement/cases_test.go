package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
)

// The check covers every backbone, objective and head, and the names of the cases, from
// which their weights and inputs are generated, are unique.
func TestCasesAreComplete(t *testing.T) {
	names, backbones, losses, distances := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range cases() {
		if names[c.name()] {
			t.Errorf("two cases are named %q", c.name())
		}
		names[c.name()] = true
		backbones[c.network.Name], losses[c.loss.Objective], distances[c.loss.Head] = true, true, true
	}
	for _, name := range backbone.Published { // benchmarks/peers/backbones compares these
		backbones[name] = true
	}
	for _, each := range []struct {
		what     string
		found    map[string]bool
		expected []string
	}{
		{"backbones", backbones, backbone.Names},
		{"objectives", losses, objectives.Names},
		{"heads", distances, heads.Names},
	} {
		if diff := cmp.Diff(each.expected, slices.Sorted(maps.Keys(each.found))); diff != "" {
			t.Errorf("%s (-library +cases):\n%s", each.what, diff)
		}
	}
}

// The margin of a case lies between the smallest and the largest distance of its pairs.
func TestMarginsDivide(t *testing.T) {
	for _, c := range cases() {
		if !strings.HasPrefix(c.name(), "lenet, ") {
			continue
		}
		p, model, err := c.set(0)
		if err != nil {
			t.Fatal(err)
		}
		if p.hasMargin() != (c.loss.Margin == 0 && p.loss.Margin > 0) {
			t.Errorf("%s: the margin is %v", c.name(), p.loss.Margin)
		}
		if !p.hasMargin() || !strings.HasSuffix(c.loss.Objective, "contrastive") {
			continue
		}
		program, err := p.run(model.Weights, graph.Training, p.training)
		if err != nil {
			t.Fatal(err)
		}
		distances, err := program.Get("distances")
		if err != nil {
			t.Fatal(err)
		}
		if low, high := slices.Min(distances), slices.Max(distances); p.loss.Margin <= low || p.loss.Margin >= high {
			t.Errorf("%s: the margin %v is not within the distances %v to %v", c.name(), p.loss.Margin, low, high)
		}
	}
}

// Two images of 1×2 pixels in 3 channels.
func TestChannelsFirst(t *testing.T) {
	found := channelsFirst([]float64{
		1, 2, 3, 4, 5, 6,
		-1, -2, -3, -4, -5, -6,
	}, imaging.Size{Height: 1, Width: 2, Channels: 3})
	want := []float64{
		1, 4, 2, 5, 3, 6,
		-1, -4, -2, -5, -3, -6,
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
