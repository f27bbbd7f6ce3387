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

// A zero Margin is the default for the head; options arrive.
func TestNamed(t *testing.T) {
	tests := []struct {
		name, head string
		options    objectives.Options
		want       objectives.Loss
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
		{"arcface", "cosine", objectives.Options{}, objectives.ArcFace{Margin: 28.6, Scale: 64}},
		{"arcface", "cosine", objectives.Options{Margin: 20, Scale: 30}, objectives.ArcFace{Margin: 20, Scale: 30}},
		{"subcenter-arcface", "cosine", objectives.Options{}, objectives.SubCenterArcFace{Margin: 28.6, Scale: 64, Centers: 3}},
		{"cosface", "cosine", objectives.Options{}, objectives.CosFace{Margin: 0.35, Scale: 64}},
		{"normalized-softmax", "cosine", objectives.Options{}, objectives.NormalizedSoftmax{Temperature: 0.05}},
		{"soft-triple", "cosine", objectives.Options{}, objectives.SoftTriple{Margin: 0.01, Scale: 20, Temperature: 0.1, Centers: 10}},
		{"soft-triple", "cosine", objectives.Options{Centers: 4}, objectives.SoftTriple{Margin: 0.01, Scale: 20, Temperature: 0.1, Centers: 4}},
		{"proxy-nca", "cosine", objectives.Options{}, objectives.ProxyNCA{Temperature: 0.5}},
		{"proxy-nca", "squared-l2", objectives.Options{}, objectives.ProxyNCA{Temperature: 1}},
		{"proxy-nca++", "cosine", objectives.Options{}, objectives.ProxyNCAPlusPlus{Temperature: 0.05}},
		{"proxy-nca++", "l2", objectives.Options{}, objectives.ProxyNCAPlusPlus{Temperature: 1}},
		{"proxy-anchor", "cosine", objectives.Options{}, objectives.ProxyAnchor{Margin: 0.1, Scale: 32}},
		{"angular", "cosine", objectives.Options{}, objectives.Angular{Angle: 40}},
		{"angular", "cosine", objectives.Options{Angle: 45}, objectives.Angular{Angle: 45}},
		{"batch-hard", "cosine", objectives.Options{Mining: "easy-positive"}, objectives.BatchHard{Margin: 0.1, Mining: objectives.EasyPositive}},
		{"circle", "cosine", objectives.Options{}, objectives.Circle{Margin: 0.4, Scale: 80}},
		{"circle", "cosine", objectives.Options{Margin: 0.25, Scale: 256}, objectives.Circle{Margin: 0.25, Scale: 256}},
		{"fastap", "cosine", objectives.Options{}, objectives.FastAP{Bins: 10}},
		{"fastap", "cosine", objectives.Options{Bins: 25}, objectives.FastAP{Bins: 25}},
		{"lifted-structure", "l1", objectives.Options{}, objectives.LiftedStructure{Margin: 1}},
		{"margin", "cosine", objectives.Options{}, objectives.Margin{Margin: 0.2, Beta: 1.2}},
		{"margin", "l2", objectives.Options{Beta: 2, PerClass: true, Mining: "all"}, objectives.Margin{Margin: 0.2, Beta: 2, PerClass: true, Mining: objectives.AllPairs}},
		{"multi-similarity", "cosine", objectives.Options{}, objectives.MultiSimilarity{PositiveScale: 2, NegativeScale: 50, Base: 0.5, Epsilon: 0.1}},
		{"multi-similarity", "cosine", objectives.Options{PositiveScale: 3, NegativeScale: 40, Base: 1, Epsilon: 0.2},
			objectives.MultiSimilarity{PositiveScale: 3, NegativeScale: 40, Base: 1, Epsilon: 0.2}},
		{"smooth-ap", "cosine", objectives.Options{}, objectives.SmoothAP{Temperature: 0.01}},
		{"smooth-ap", "l2", objectives.Options{}, objectives.SmoothAP{Temperature: 0.2}},
		{"tuplet-margin", "cosine", objectives.Options{}, objectives.TupletMargin{Margin: 5.73, Scale: 64}},
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
		{"triplet", "signed-weighted-l1", objectives.Options{}, "triplet with signed-weighted-l1: its values may be negative, so they are not distances: use weighted-l1"},
		{"contrastive", "cosine", objectives.Options{Margin: 3}, "contrastive with cosine: found margin 3, but these distances lie in [0, 2]"},
		{"triplet", "l2", objectives.Options{Margin: -1}, "triplet: found margin -1, expected a positive number, or 0 for the default"},
		{"contrastive", "l1", objectives.Options{}, "contrastive with l1: found neither a margin nor the number of features, on which the default depends"},
		{"triplet", "l2", objectives.Options{Margin: 1, Soft: true}, "triplet: found margin 1 and soft, expected one of the two"},
		{"cross-entropy", "l2", objectives.Options{Margin: 1}, "cross-entropy has no option margin, nor any other"},
		{"triplet-ratio", "l2", objectives.Options{Margin: 1}, "triplet-ratio has no option margin; it has scale"},
		{"triplet-ratio", "l2", objectives.Options{Scale: -1}, "triplet-ratio: found scale -1, expected a positive number, or 0 for the default"},
		{"triplet-ratio", "l2", objectives.Options{Scale: math.Inf(1)}, "triplet-ratio: found scale +Inf, expected a positive number"},
		{"n-pair", "l2", objectives.Options{Margin: 1}, "n-pair has no option margin; it has temperature, mining"},
		{"nca", "l2", objectives.Options{Temperature: -1}, "nca: found temperature -1, expected a positive number, or 0 for the default"},
		{"n-pair", "signed-weighted-l1", objectives.Options{}, "n-pair with signed-weighted-l1: its values may be negative, so they are not distances: use weighted-l1"},
		{"prototypical", "l2", objectives.Options{}, "prototypical with l2: the distance from a mean does not follow from such distances: use squared-l2 or cosine"},
		{"triplet", "l2", objectives.Options{Scale: 2}, "triplet has no option scale; it has margin, soft margin"},
		{"semi-hard", "l2", objectives.Options{Soft: true}, "semi-hard has no option soft margin; it has margin, mining"},
		{"batch-all", "l2", objectives.Options{Balanced: true}, "batch-all has no option balanced; it has margin, soft margin, mining"},
		{"arcface", "l2", objectives.Options{}, "arcface with l2: the equation compares directions by the cosine of their angle: use cosine"},
		{"proxy-anchor", "weighted-l1", objectives.Options{}, "proxy-anchor with weighted-l1: the equation compares directions by the cosine of their angle: use cosine"},
		{"arcface", "cosine", objectives.Options{Margin: 180}, "arcface: found margin 180, expected an angle in degrees, above 0 and below 180"},
		{"arcface", "cosine", objectives.Options{Temperature: 1}, "arcface has no option temperature; it has margin, scale"},
		{"cosface", "cosine", objectives.Options{Margin: 3}, "cosface with cosine: found margin 3, but these distances lie in [0, 2]"},
		{"normalized-softmax", "cosine", objectives.Options{Centers: 2}, "normalized-softmax has no option centers; it has temperature"},
		{"soft-triple", "cosine", objectives.Options{Centers: -2}, "soft-triple: found -2 centers, expected a positive number, or 0 for the default"},
		{"proxy-nca", "signed-weighted-l1", objectives.Options{}, "proxy-nca with signed-weighted-l1: its values may be negative, so they are not distances: use weighted-l1"},
		{"batch-all", "l2", objectives.Options{PositiveScale: 1}, "batch-all has no option positive scale; it has margin, soft margin, mining"},
		{"n-pair", "l2", objectives.Options{PerClass: true}, "n-pair has no option beta for each class; it has temperature, mining"},
		{"nca", "l2", objectives.Options{Mining: "easy-positive"}, "nca has no option mining; it has temperature"},
		{"n-pair", "l2", objectives.Options{Mining: "hard"}, `n-pair: found mining "hard", expected easy-positive, or none for that of the loss`},
		{"multi-similarity", "cosine", objectives.Options{Mining: "easy-positive"}, `multi-similarity: found mining "easy-positive", expected all, or none for that of the loss`},
		{"multi-similarity", "l2", objectives.Options{}, "multi-similarity with l2: the loss is a function of cosine similarities: use cosine"},
		{"multi-similarity", "cosine", objectives.Options{Base: 2}, "multi-similarity: found base 2, expected a similarity from -1 to 1"},
		{"multi-similarity", "cosine", objectives.Options{Epsilon: -1}, "multi-similarity: found epsilon -1, expected a positive number, or 0 for the default"},
		{"multi-similarity", "cosine", objectives.Options{NegativeScale: math.Inf(1)}, "multi-similarity: found negative scale +Inf, expected a positive number"},
		{"angular", "squared-l2", objectives.Options{}, "angular with squared-l2: the loss is a function of cosine similarities: use cosine"},
		{"angular", "cosine", objectives.Options{Angle: 90}, "angular: found angle 90, expected degrees above 0 and below 90"},
		{"tuplet-margin", "cosine", objectives.Options{Margin: 100}, "tuplet-margin: found margin 100, expected degrees above 0 and below 90"},
		{"circle", "cosine", objectives.Options{Margin: 1}, "circle: found margin 1, expected a number above 0 and below 1"},
		{"circle", "signed-weighted-l1", objectives.Options{}, "circle with signed-weighted-l1: its values may be negative, so they are not distances: use weighted-l1"},
		{"fastap", "l2", objectives.Options{}, "fastap with l2: a histogram needs distances with an upper bound: use cosine"},
		{"fastap", "cosine", objectives.Options{Bins: 20_000}, "fastap: found 20000 bins, expected 1 to 10000"},
		{"margin", "l2", objectives.Options{}, "margin with l2: negatives are sampled by the distances between unit vectors: use cosine, or the mining all"},
		{"margin", "cosine", objectives.Options{Mining: "easy-positive"}, `margin: found mining "easy-positive", expected all, or none for that of the loss`},
		{"margin", "cosine", objectives.Options{Beta: math.Inf(1)}, "margin: found beta +Inf, expected a positive number"},
		{"lifted-structure", "l2", objectives.Options{Margin: math.Inf(1)}, "lifted-structure: found margin +Inf, expected a positive number"},
	}
	for _, test := range tests {
		if _, _, err := objectives.Named(test.name, test.head, test.options); err == nil || err.Error() != test.want {
			t.Errorf("Named(%q, %q, %+v): found %v, want %s", test.name, test.head, test.options, err, test.want)
		}
	}
}

// A cost checks its parameters and the batch when it is added to a graph.
func TestCostsCheckTheBatch(t *testing.T) {
	embeddings := func(b *graph.Builder, name string, shape ...int) *graph.Node { return b.Input(name, shape...) }
	pair := func(b *graph.Builder) objectives.Batch {
		return objectives.Batch{
			Embeddings: []*graph.Node{embeddings(b, "left", 3, 2), embeddings(b, "right", 3, 2)},
			Labels:     b.Input("different", 3), Head: heads.L2{},
		}
	}
	labeled := func(b *graph.Builder) objectives.Batch {
		return objectives.Batch{Embeddings: []*graph.Node{embeddings(b, "images", 3, 2)}, Labels: b.Input("labels", 3), Head: heads.L2{}}
	}
	cosine := func(classes int, references func(b *graph.Builder) *objectives.References) func(b *graph.Builder) objectives.Batch {
		return func(b *graph.Builder) objectives.Batch {
			batch := labeled(b)
			batch.Head, batch.Classes = heads.Cosine{}, classes
			if references != nil {
				batch.References = references(b)
			}
			return batch
		}
	}
	for _, test := range []struct {
		want string
		loss objectives.Loss
		make func(b *graph.Builder) objectives.Batch
	}{
		{"contrastive: found margin 0, expected a positive number", objectives.Contrastive{}, pair},
		{"batch-ratio: found scale 0, expected a positive number", objectives.BatchRatio{}, labeled},
		{"semi-hard: found margin -1, expected a positive number", objectives.SemiHard{Margin: -1}, labeled},
		{"nca: found temperature 0, expected a positive number", objectives.NCA{}, labeled},
		{"margin: found nu -1, expected at least 0", objectives.Margin{Margin: 1, Beta: 1, Nu: -1, Mining: objectives.AllPairs}, labeled},
		{"margin: found 0 classes, expected the number of classes of the training data for a beta for each",
			objectives.Margin{Margin: 1, Beta: 1, PerClass: true, Mining: objectives.AllPairs}, labeled},
		{"triplet: found the embeddings of 2 towers, expected 3 for triplets", objectives.Triplet{Margin: 1}, pair},
		{"batch-hard: found the embeddings of 2 towers, expected 1 for labeled images", objectives.BatchHard{Margin: 1}, pair},
		{"cross-entropy: found labels of shape (4), expected (3)", objectives.CrossEntropy{}, func(b *graph.Builder) objectives.Batch {
			batch := pair(b)
			batch.Labels = b.Input("four", 4)
			return batch
		}},
		{"batch-hard: found labels of shape nil, expected (3)", objectives.BatchHard{Soft: true}, func(b *graph.Builder) objectives.Batch {
			batch := labeled(b)
			batch.Labels = nil
			return batch
		}},
		{"contrastive: found embeddings of shape (3, 4) in tower 1 and (3, 2) in tower 0, expected (N, D) in all", objectives.Contrastive{Margin: 1}, func(b *graph.Builder) objectives.Batch {
			batch := pair(b)
			batch.Embeddings[1] = embeddings(b, "wide", 3, 4)
			return batch
		}},
		{"nca: found no head, expected one to measure distances with", objectives.NCA{Temperature: 1}, func(b *graph.Builder) objectives.Batch {
			batch := labeled(b)
			batch.Head = nil
			return batch
		}},
		{"contrastive: found references, which pairs do not have", objectives.Contrastive{Margin: 1}, func(b *graph.Builder) objectives.Batch {
			batch := pair(b)
			batch.References = &objectives.References{}
			return batch
		}},
		{"arcface: found 0 classes, expected the number of classes of the training data in Batch.Classes", objectives.ArcFace{Margin: 9, Scale: 1}, cosine(0, nil)},
		{"proxy-nca: found 0 classes, expected the number of classes of the training data in Batch.Classes", objectives.ProxyNCA{Temperature: 1}, labeled},
		{"soft-triple: found 0 centers, expected at least 1", objectives.SoftTriple{Margin: 1, Scale: 1, Temperature: 1}, cosine(2, nil)},
		{"proxy-anchor: found references, but its class vectors are what images are compared with: leave out Batch.References", objectives.ProxyAnchor{Margin: 1, Scale: 1}, cosine(2, func(b *graph.Builder) *objectives.References {
			return &objectives.References{Embeddings: b.Input("references", 5, 2), Labels: b.Input("five", 5)}
		})},
		{"nca: found references of shape (5, 3), expected (M, 2)", objectives.NCA{Temperature: 1}, func(b *graph.Builder) objectives.Batch {
			batch := labeled(b)
			batch.References = &objectives.References{Embeddings: b.Input("references", 5, 3)}
			return batch
		}},
		{"nca: found labels of references of shape (4), expected (5)", objectives.NCA{Temperature: 1}, func(b *graph.Builder) objectives.Batch {
			batch := labeled(b)
			batch.References = &objectives.References{Embeddings: b.Input("references", 5, 2), Labels: b.Input("four", 4)}
			return batch
		}},
		{"nca: found a mask of valid references of shape (4), expected (5)", objectives.NCA{Temperature: 1}, func(b *graph.Builder) objectives.Batch {
			batch := labeled(b)
			batch.References = &objectives.References{Embeddings: b.Input("references", 5, 2), Labels: b.Input("five", 5), Valid: b.Input("four", 4)}
			return batch
		}},
		{"nca: found 2 references, expected at least the 3 anchors, because Self is set", objectives.NCA{Temperature: 1}, func(b *graph.Builder) objectives.Batch {
			batch := labeled(b)
			batch.References = &objectives.References{Embeddings: b.Input("references", 2, 2), Labels: b.Input("two", 2), Self: true}
			return batch
		}},
	} {
		_, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
			return graph.Outputs{graph.Cost: test.loss.Cost(b, test.make(b))}
		})
		if err == nil || err.Error() != "build graph: "+test.want {
			t.Errorf("found %v, want %s", err, test.want)
		}
	}
}

// The default margin of a loss as it is; 0 where it has none.
func TestDefaultMargin(t *testing.T) {
	for _, test := range []struct {
		loss objectives.Loss
		head heads.Head
		want float64
	}{
		{objectives.Contrastive{}, heads.L1{}, 3}, {objectives.Contrastive{}, heads.Cosine{}, 0.5}, {objectives.SemiHard{}, heads.Cosine{}, 0.1},
		{objectives.Triplet{}, heads.WeightedL1{}, 1}, {objectives.BatchHard{}, heads.L2{}, 0.2}, {objectives.BatchHard{Soft: true}, heads.L2{}, 0},
		{objectives.NCA{}, heads.L2{}, 0}, {easyPositive{}, heads.L2{}, 0}, {objectives.BatchAll{}, nil, 0},
		{objectives.Circle{}, heads.Cosine{}, 0.4}, {objectives.LiftedStructure{}, heads.L1{}, 1}, {objectives.Margin{}, heads.Cosine{}, 0.2},
		{objectives.TupletMargin{}, heads.Cosine{}, 5.73}, {objectives.FastAP{}, heads.Cosine{}, 0},
	} {
		if found := objectives.DefaultMargin(test.loss, test.head, 9); found != test.want {
			t.Errorf("%T with %v: found %v, want %v", test.loss, test.head, found, test.want)
		}
	}
}
