package main

import (
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/safetensors"
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

// lenet is the case of LeNet with a loss.
func lenet(t *testing.T, loss string) comparison {
	t.Helper()
	for _, c := range cases() {
		if c.name() == "lenet, "+loss {
			return c
		}
	}
	t.Fatalf("there is no case of lenet with %s", loss)
	return comparison{}
}

// The files for the peer have the inputs as PyTorch orders them, and the embeddings, the
// cost and the gradient of each parameter, which are the same in both precisions but for
// rounding.
func TestFilesForThePeer(t *testing.T) {
	c := lenet(t, "cross-entropy, signed-weighted-l1, L2 penalty")
	folder := t.TempDir()
	if err := c.write(folder, 0); err != nil {
		t.Fatal(err)
	}
	model, err := likeness.Load(filepath.Join(folder, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]int{"cost": {1}, "labels": {12}}
	for tower := range 2 {
		want[inputName(tower)] = []int{12, 1, 28, 28}
		want[embeddingsName(tower)] = []int{12, 64}
	}
	for _, weight := range model.Weights.All() {
		if weight.Role == graph.Buffer { // running statistics after the step
			want["after "+weight.Name] = weight.Value.Shape()
		} else {
			want["gradient "+weight.Name] = weight.Value.Shape()
		}
	}
	single, double := tensorsOf(t, folder, "float32"), tensorsOf(t, folder, "float64")
	shapes := map[string][]int{}
	for name, narrow := range single {
		shapes[name] = narrow.Shape
		wide, ok := double[name].Data.([]float64)
		if !ok || len(wide) != len(narrow.Data.([]float32)) {
			t.Errorf("%s: found %v in float64", name, double[name])
			continue
		}
		for i, v := range narrow.Data.([]float32) {
			if math.Abs(float64(v)-wide[i]) > 1e-4*(1+math.Abs(wide[i])) {
				t.Errorf("%s[%d]: found %v in float32 and %v in float64", name, i, v, wide[i])
				break
			}
		}
	}
	if diff := cmp.Diff(want, shapes, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("shapes (-want +found):\n%s", diff)
	}
}

// tensorsOf are the tensors of a file for the peer, by name.
func tensorsOf(t *testing.T, folder, dtype string) map[string]safetensors.Tensor {
	t.Helper()
	file, err := safetensors.ReadFile(filepath.Join(folder, dtype+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	tensors := map[string]safetensors.Tensor{}
	for _, each := range file.Tensors {
		tensors[each.Name] = each
	}
	return tensors
}

// A case whose gradients disagree because an input is at a kink gets other inputs, a few
// times; a peer that ends before it answers, and an interpreter without PyTorch, are
// errors.
func TestPeer(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh to play the peer")
	}
	script := filepath.Join(t.TempDir(), "peer")
	play := func(text string) *peer {
		t.Helper()
		if err := os.WriteFile(script, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		p, err := startPeer(script, "unused")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.stop)
		return p
	}
	c := lenet(t, "contrastive, l2")
	p := play(`read -r folder; test -s "$folder/float64.safetensors" && echo "| kink |"; read -r folder; echo "| fine |"`)
	if row, drawn, err := compare(c, p); err != nil || row != "| fine |\n" || drawn != 2 {
		t.Errorf("found %q after %d draws, error %v; expected the row of the second", row, drawn, err)
	}
	if err := p.finish(); err != nil {
		t.Error(err)
	}
	p = play("exit 1")
	if row, _, err := compare(c, p); err == nil || !strings.Contains(err.Error(), c.name()) {
		t.Errorf("a peer that ends: found %q, error %v", row, err)
	}
	if err := p.finish(); err == nil || !strings.Contains(err.Error(), "PyTorch disagrees") {
		t.Errorf("a peer that fails: found error %v", err)
	}
	if _, err := versions(script); err == nil || !strings.Contains(err.Error(), "cannot import torch: give the path") {
		t.Errorf("an interpreter that fails: found error %v", err)
	}
	if text := explain(3, []string{"lenet (2)"}); !strings.Contains(text, "lenet (2)") {
		t.Errorf("found %q", text)
	}
}
