package evaluate_test

import (
	"archive/zip"
	"bufio"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"pgregory.net/rapid"
)

func TestOneShotByHand(t *testing.T) {
	embeddings := line(0, 10, 20, 4, 5, 16)
	support := [][]int{{0}, {1}, {2}}
	trials := []evaluate.Trial{
		{Support: support, Query: 3, Answer: 0}, // 4 is nearest to 0
		{Support: support, Query: 3, Answer: 1},
		{Support: support, Query: 4, Answer: 0}, // 5 is as near to 0 as to 10
		{Support: support, Query: 4, Answer: 1},
		{Support: support, Query: 4, Answer: 2},
		{Support: support, Query: 5, Answer: 2}, // 16 is nearest to 20
	}
	score := must(evaluate.OneShot(euclidean, embeddings, trials, evaluate.MeanDistance))(t)
	expect(t, "trials", score.Trials, []float64{1, 0, 0.5, 0.5, 0, 1})
	expect(t, "value", score.Value, 3./6)
	expect(t, "interval", score.Estimate, must(score.Clustered([]int{3, 3, 4, 4, 4, 5}))(t)) // each query with its trials
	apart := []evaluate.Trial{trials[0], trials[2], trials[5]}
	score = must(evaluate.OneShot(euclidean, embeddings, apart, evaluate.MeanDistance))(t)
	expect(t, "measure of queries that come once", score.Estimate, evaluate.Wilson(2.5, 3))
}

// Squared distances punish a far example more than distances do.
func TestSeveralShotsByHand(t *testing.T) {
	embeddings := line(0, 10, 6.5, 6.5, 20, 4)
	trial := evaluate.Trial{Support: [][]int{{0, 1}, {2, 3, 4}}, Query: 5, Answer: 0}
	for _, test := range []struct {
		metric evaluate.Metric
		rule   evaluate.ClassDistance
		right  float64
	}{
		{euclidean, evaluate.MeanDistance, 1},        // (4+6)/2 = 5, (2.5+2.5+16)/3 = 7
		{euclidean, evaluate.Prototype, 1},           // |5−4| = 1, |11−4| = 7
		{squaredEuclidean, evaluate.MeanDistance, 1}, // (16+36)/2 = 26, (6.25+6.25+256)/3 = 89.5
	} {
		score := must(evaluate.OneShot(test.metric, embeddings, []evaluate.Trial{trial}, test.rule))(t)
		expect(t, "right", score.Value, test.right)
	}
	// A class about the query at ±10 is far by its examples, near by their mean.
	around := evaluate.Trial{Support: [][]int{{0, 1}, {2}}, Query: 3, Answer: 0}
	for rule, right := range map[evaluate.ClassDistance]float64{evaluate.MeanDistance: 0, evaluate.Prototype: 1} {
		score := must(evaluate.OneShot(euclidean, line(-10, 10, 3, 0), []evaluate.Trial{around}, rule))(t)
		expect(t, "right", score.Value, right)
	}
}

func TestOneExampleIsItsOwnPrototype(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rows = 8
		embeddings := drawGrid(t, rows, 2)
		row := rapid.IntRange(0, rows-1)
		trial := evaluate.Trial{
			Support: [][]int{{row.Draw(t, "a")}, {row.Draw(t, "b")}, {row.Draw(t, "c")}},
			Query:   row.Draw(t, "query"),
			Answer:  rapid.IntRange(0, 2).Draw(t, "answer"),
		}
		for _, metric := range []evaluate.Metric{squaredEuclidean, euclidean, manhattan, cosine, must(heads.FromForm("weighted", heads.Form{Power: 1, Weights: []float32{1.5, -0.5}}))(t)} {
			mean := must(evaluate.OneShot(metric, embeddings, []evaluate.Trial{trial}, evaluate.MeanDistance))(t)
			prototype := must(evaluate.OneShot(metric, embeddings, []evaluate.Trial{trial}, evaluate.Prototype))(t)
			expect(t, "trials", prototype.Trials, mean.Trials)
		}
	})
}

func TestOneShotOfAConstantEmbeddingIsChance(t *testing.T) {
	constant := evaluate.Embeddings{Rows: 40, Columns: 5, Data: make([]float32, 200)}
	var trials []evaluate.Trial
	for query := range 20 {
		trial := evaluate.Trial{Query: query, Answer: query}
		for class := range 20 {
			trial.Support = append(trial.Support, []int{20 + class})
		}
		trials = append(trials, trial)
	}
	for name, metric := range map[string]evaluate.Metric{"squared": squaredEuclidean, "euclidean": euclidean, "manhattan": manhattan, "cosine": cosine} {
		score := must(evaluate.OneShot(metric, constant, trials, evaluate.MeanDistance))(t)
		expect(t, name, score.Value, 1./20, rounding)
	}
}

// The answer is what the index says, wherever in the support set it stands.
func TestOneShotDoesNotDependOnTheOrderOfClasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const way = 5
		distances := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 3), func(i int) float64 { return float64(i) }), way, way).Draw(t, "distances")
		answer := rapid.IntRange(0, way-1).Draw(t, "answer")
		order := rapid.Permutation(makeRange(way)).Draw(t, "order")
		shuffled, moved := make([]float64, way), 0
		for to, from := range order {
			shuffled[to] = distances[from]
			if from == answer {
				moved = to
			}
		}
		score := must(evaluate.OneShotDistances([][]float64{distances}, []int{answer}))(t)
		expect(t, "shuffled", must(evaluate.OneShotDistances([][]float64{shuffled}, []int{moved}))(t), score)
	})
}

func TestOneShotRefuses(t *testing.T) {
	weighted := must(heads.FromForm("weighted", heads.Form{Power: 1, Weights: []float32{1, 2}}))(t)
	embeddings := line(0, 1, 2)
	oneShot := func(trials ...evaluate.Trial) error {
		return second(evaluate.OneShot(euclidean, embeddings, trials, evaluate.MeanDistance))
	}
	good := evaluate.Trial{Support: [][]int{{0}, {1}}, Query: 2, Answer: 1}
	for want, err := range map[string]error{
		"there are no trials":                                                       oneShot(),
		"trial 1: the query is row 3 of 3":                                          oneShot(good, evaluate.Trial{Support: good.Support, Query: 3}),
		"trial 0: the query is row -1 of 3":                                         oneShot(evaluate.Trial{Support: good.Support, Query: -1}),
		"trial 0: an example of class 1 is row 7":                                   oneShot(evaluate.Trial{Support: [][]int{{0}, {7}}}),
		"trial 0: class 0 has no examples":                                          oneShot(evaluate.Trial{Support: [][]int{{}, {1}}}),
		"trial 0: the answer is class 2 of 2":                                       oneShot(evaluate.Trial{Support: good.Support, Answer: 2}),
		"trial 0: the answer is class -1 of 2":                                      oneShot(evaluate.Trial{Support: good.Support, Answer: -1}),
		"trial 0: the answer is class 0 of 0":                                       oneShot(evaluate.Trial{}),
		"class distance is 7":                                                       second(evaluate.OneShot(euclidean, embeddings, []evaluate.Trial{good}, 7)),
		"trial 0: distance \"weighted\": found embeddings of 1 columns, expected 2": second(evaluate.OneShot(weighted, embeddings, []evaluate.Trial{good}, 0)),
		"embedding 1 is NaN":                                                        second(evaluate.OneShot(euclidean, line(0, float32(math.NaN())), []evaluate.Trial{good}, 0)),
		"2 trials have 1 answers":                                                   second(evaluate.OneShotDistances(make([][]float64, 2), []int{0})),
		"trial 1: distance 1 is +Inf, want a finite number":                         second(evaluate.OneShotDistances([][]float64{{1, 2}, {0, math.Inf(1)}}, []int{0, 0})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
	if err := oneShot(good); err != nil {
		t.Error(err)
	}
}

// Lake's twenty official runs of 20-way one-shot classification within one
// alphabet. The error of the modified Hausdorff distance is what the authors'
// demo prints, 38.8 %; those of plain pixels were found by an independent
// implementation in NumPy.
func TestLakesRuns(t *testing.T) {
	folder := os.Getenv("LIKENESS_OMNIGLOT")
	if folder == "" {
		t.Skip("LIKENESS_OMNIGLOT does not name a folder with all_runs.zip")
	}
	pixels, trials := readRuns(t, filepath.Join(folder, "all_runs.zip"))

	ink := make([]evaluate.Ink, pixels.Rows)
	for i := range ink {
		var err error
		if ink[i], err = evaluate.InkOf(pixels.Row(i), 105); err != nil {
			t.Fatal(err)
		}
	}
	distances, answers := make([][]float64, len(trials)), make([]int, len(trials))
	for i, trial := range trials {
		answers[i] = trial.Answer
		for _, examples := range trial.Support {
			distances[i] = append(distances[i], evaluate.ModifiedHausdorff(ink[trial.Query], ink[examples[0]]))
		}
	}
	hausdorff, err := evaluate.OneShotDistances(distances, answers)
	if err != nil {
		t.Fatal(err)
	}
	expectErrors(t, "modified Hausdorff", hausdorff, 155)

	euclidean, err := evaluate.OneShot(euclidean, pixels, trials, evaluate.MeanDistance)
	if err != nil {
		t.Fatal(err)
	}
	expectErrors(t, "Euclidean", euclidean, 324)

	cosine, err := evaluate.OneShot(cosine, pixels, trials, evaluate.MeanDistance)
	if err != nil {
		t.Fatal(err)
	}
	expectErrors(t, "cosine", cosine, 313)
}

func expectErrors(t *testing.T, name string, score evaluate.Score, errors float64) {
	t.Helper()
	if want := 1 - errors/400; math.Abs(score.Value-want) > 1e-9 || len(score.Trials) != 400 {
		t.Errorf("%s: accuracy %v over %d trials, want %v over 400", name, score, len(score.Trials), want)
	}
}

// readRuns returns all images of the runs, ink 1 on ground 0, and the trials.
func readRuns(t *testing.T, path string) (evaluate.Embeddings, []evaluate.Trial) {
	t.Helper()
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()

	var images [][]float32
	rows := map[string]int{}
	read := func(name string) int {
		if _, known := rows[name]; !known {
			rows[name] = len(images)
			images = append(images, readDrawing(t, &archive.Reader, name))
		}
		return rows[name]
	}
	var trials []evaluate.Trial
	for run := range 20 {
		labels, err := archive.Open(fmt.Sprintf("run%02d/class_labels.txt", run+1))
		if err != nil {
			t.Fatal(err)
		}
		support := make([][]int, 20)
		for class := range support {
			support[class] = []int{read(fmt.Sprintf("run%02d/training/class%02d.png", run+1, class+1))}
		}
		for lines := bufio.NewScanner(labels); lines.Scan(); {
			var item, class int
			if _, err := fmt.Sscanf(lines.Text(), fmt.Sprintf("run%02[1]d/test/item%%d.png run%02[1]d/training/class%%d.png", run+1), &item, &class); err != nil {
				t.Fatalf("run %d: line %q: %v", run+1, lines.Text(), err)
			}
			query := read(fmt.Sprintf("run%02d/test/item%02d.png", run+1, item))
			trials = append(trials, evaluate.Trial{Support: support, Query: query, Answer: class - 1})
		}
	}
	embeddings, err := evaluate.FromRows(images)
	if err != nil {
		t.Fatal(err)
	}
	return embeddings, trials
}

func readDrawing(t *testing.T, archive *zip.Reader, name string) []float32 {
	t.Helper()
	file, err := archive.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	drawing, err := png.Decode(file)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if drawing.Bounds() != image.Rect(0, 0, 105, 105) {
		t.Fatalf("%s is %v", name, drawing.Bounds())
	}
	pixels := make([]float32, 0, 105*105)
	for y := range 105 {
		for x := range 105 {
			gray, _, _, _ := drawing.At(x, y).RGBA()
			pixels = append(pixels, 1-float32(gray)/0xffff)
		}
	}
	return pixels
}
