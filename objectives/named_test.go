package objectives_test

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
)

// The table in the package's documentation says what HeadFor does.
func TestTable(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	cells := map[string]map[string]string{} // objective, head
	var columns []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(strings.TrimPrefix(line, "//"))
		switch {
		case slices.Equal(fields, headNames):
			columns = fields
		case len(fields) == len(columns)+1 && slices.Contains(objectives.Names, fields[0]):
			cells[fields[0]] = map[string]string{}
			for i, column := range columns {
				cells[fields[0]][column] = fields[i+1]
			}
		}
	}
	for _, name := range objectives.Names {
		for _, headName := range headNames {
			_, head, err := objectives.Named(name, headName, objectives.Options{Features: 9})
			found := "yes"
			switch {
			case err != nil:
				found = "no"
			case head == heads.WeightedL1{}:
				found = "w>0"
			case head == heads.WeightedL1{Signed: true}:
				found = "signed"
			}
			if cells[name][headName] != found {
				t.Errorf("%s with %s: the table says %q, found %q", name, headName, cells[name][headName], found)
			}
		}
	}
}

// A zero Margin is the usual one for the head; options arrive.
func TestNamed(t *testing.T) {
	tests := []struct {
		name, head string
		options    objectives.Options
		want       objectives.Objective
	}{
		{"contrastive", "l2", objectives.Options{}, objectives.Contrastive{Margin: 1}},
		{"contrastive", "cosine", objectives.Options{}, objectives.Contrastive{Margin: 0.5}},
		{"contrastive", "l2", objectives.Options{Margin: 3}, objectives.Contrastive{Margin: 3}},
		{"triplet", "squared-l2", objectives.Options{}, objectives.Triplet{Margin: 0.2}},
		{"triplet", "weighted-l1", objectives.Options{}, objectives.Triplet{Margin: 1}},
		{"triplet", "l2", objectives.Options{Soft: true}, objectives.Triplet{Soft: true}},
		{"triplet-ratio", "l2", objectives.Options{}, objectives.TripletRatio{Scale: 1}},
		{"triplet-ratio", "cosine", objectives.Options{}, objectives.TripletRatio{Scale: 20}},
		{"triplet-ratio", "cosine", objectives.Options{Scale: 5}, objectives.TripletRatio{Scale: 5}},
		{"cross-entropy", "weighted-l1", objectives.Options{}, objectives.CrossEntropy{}},
		{"contrastive", "weighted-l1", objectives.Options{Features: 64}, objectives.Contrastive{Margin: 8}},
		{"contrastive", "l2", objectives.Options{Features: 64}, objectives.Contrastive{Margin: 1}},
		{"contrastive", "l1", objectives.Options{Margin: 3, Features: 64}, objectives.Contrastive{Margin: 3}},
		{"triplet", "l1", objectives.Options{Features: 64}, objectives.Triplet{Margin: 1}},
		{"batch-contrastive", "l1", objectives.Options{Balanced: true, Features: 16}, objectives.BatchContrastive{Margin: 4, Balanced: true}},
		{"batch-cross-entropy", "l2", objectives.Options{Balanced: true}, objectives.BatchCrossEntropy{Balanced: true}},
		{"batch-all", "cosine", objectives.Options{}, objectives.BatchAll{Margin: 0.1}},
		{"batch-hard", "l2", objectives.Options{Soft: true}, objectives.BatchHard{Soft: true}},
		{"semi-hard", "squared-l2", objectives.Options{}, objectives.SemiHard{Margin: 0.2}},
		{"batch-ratio", "cosine", objectives.Options{}, objectives.BatchRatio{Scale: 20}},
		{"n-pair", "cosine", objectives.Options{}, objectives.NPair{Temperature: 0.05}},
		{"nca", "squared-l2", objectives.Options{}, objectives.NCA{Temperature: 1}},
		{"supervised-contrastive", "cosine", objectives.Options{Temperature: 0.1}, objectives.SupervisedContrastive{Temperature: 0.1}},
		{"prototypical", "squared-l2", objectives.Options{}, objectives.Prototypical{Temperature: 1}},
	}
	for _, test := range tests {
		got, head, err := objectives.Named(test.name, test.head, test.options)
		if err != nil || got != test.want {
			t.Errorf("Named(%q, %q, %+v) = %+v, %v; want %+v", test.name, test.head, test.options, got, err, test.want)
			continue
		}
		if got.Name() != test.name || !strings.HasSuffix(head.Name(), test.head) {
			t.Errorf("Named(%q, %q) gave %s with %s", test.name, test.head, got.Name(), head.Name())
		}
	}
}

// Refusals give the reason, and what to do.
func TestNamedRefusals(t *testing.T) {
	tests := []struct {
		name, head string
		options    objectives.Options
		want       string
	}{
		{"contrastiv", "l2", objectives.Options{}, `unknown objective "contrastiv": did you mean "contrastive"? There are ` + strings.Join(objectives.Names, ", ")},
		{"contrastive", "l3", objectives.Options{}, `unknown head "l3": did you mean "l1"? There are ` + strings.Join(heads.Names, ", ")},
		{"contrastive", "squared-l2", objectives.Options{}, "contrastive with squared-l2: the equation squares the distance itself: use l2"},
		{"batch-contrastive", "squared-l2", objectives.Options{}, "batch-contrastive with squared-l2: the equation squares the distance itself: use l2"},
		{"cross-entropy", "cosine", objectives.Options{}, "cross-entropy with cosine: these distances lie in [0, 2], so that the logit bias − distance spans 2 and no answer can be sure: use l2 or weighted-l1"},
		{"triplet", "signed-weighted-l1", objectives.Options{}, "triplet with signed-weighted-l1: its values may be negative and so are no distances: use weighted-l1"},
		{"contrastive", "cosine", objectives.Options{Margin: 3}, "contrastive with cosine: found margin 3, but these distances lie in [0, 2]"},
		{"triplet", "l2", objectives.Options{Margin: -1}, "triplet: found margin -1, expected a positive number, or 0 for the usual one"},
		{"contrastive", "l1", objectives.Options{}, "contrastive with l1: found neither a margin nor the number of features, on which the usual one depends"},
		{"triplet", "l2", objectives.Options{Margin: 1, Soft: true}, "triplet: found margin 1 and soft, expected one of the two"},
		{"cross-entropy", "l2", objectives.Options{Margin: 1}, "cross-entropy has no option margin"},
		{"triplet-ratio", "l2", objectives.Options{Margin: 1}, "triplet-ratio has no option margin"},
		{"triplet-ratio", "l2", objectives.Options{Scale: -1}, "triplet-ratio: found scale -1, expected a positive number, or 0 for the usual one"},
		{"triplet-ratio", "l2", objectives.Options{Scale: math.Inf(1)}, "triplet-ratio: found scale +Inf, expected a positive number"},
		{"n-pair", "l2", objectives.Options{Margin: 1}, "n-pair has no option margin"},
		{"nca", "l2", objectives.Options{Temperature: -1}, "nca: found temperature -1, expected a positive number, or 0 for the usual one"},
		{"n-pair", "signed-weighted-l1", objectives.Options{}, "n-pair with signed-weighted-l1: its values may be negative and so are no distances: use weighted-l1"},
		{"prototypical", "l2", objectives.Options{}, "prototypical with l2: the distance from a mean does not follow from such distances: use squared-l2 or cosine"},
		{"triplet", "l2", objectives.Options{Scale: 2}, "triplet has no option scale"},
		{"semi-hard", "l2", objectives.Options{Soft: true}, "semi-hard has no option soft"},
		{"batch-all", "l2", objectives.Options{Balanced: true}, "batch-all has no option balanced"},
	}
	for _, test := range tests {
		if _, _, err := objectives.Named(test.name, test.head, test.options); err == nil || err.Error() != test.want {
			t.Errorf("Named(%q, %q, %+v): found %v, want %s", test.name, test.head, test.options, err, test.want)
		}
	}
}

// A cost checks its margin and its shapes when it is drawn.
func TestCostsCheckWhatTheyAreGiven(t *testing.T) {
	draws := map[string]func(b *graph.Builder) *graph.Node{
		"contrastive: found margin 0, expected a positive number": func(b *graph.Builder) *graph.Node {
			return objectives.Contrastive{}.PairCost(b, b.Input("distance", 3), b.Input("different", 3))
		},
		"triplet-ratio: found scale 0, expected a positive number": func(b *graph.Builder) *graph.Node {
			return objectives.TripletRatio{}.TripletCost(b, b.Input("positive", 3), b.Input("negative", 3))
		},
		"semi-hard: found margin -1, expected a positive number": func(b *graph.Builder) *graph.Node {
			return objectives.SemiHard{Margin: -1}.BatchCost(b, b.Input("distances", 3, 3), b.Input("labels", 3))
		},
		"cross-entropy: found shapes (3) and (4), expected (batch) twice": func(b *graph.Builder) *graph.Node {
			return objectives.CrossEntropy{}.PairCost(b, b.Input("distance", 3), b.Input("different", 4))
		},
		"batch-hard: found distances of shape (3, 3) and labels of shape (2), expected (batch, batch) and (batch)": func(b *graph.Builder) *graph.Node {
			return objectives.BatchHard{Soft: true}.BatchCost(b, b.Input("distances", 3, 3), b.Input("labels", 2))
		},
	}
	for want, draw := range draws {
		_, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
			return graph.Outputs{graph.Cost: draw(b)}
		})
		if err == nil || err.Error() != "build graph: "+want {
			t.Errorf("found %v, want %s", err, want)
		}
	}
}
