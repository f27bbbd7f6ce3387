package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/audit"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// exchangedShare is the proportion of the labels that auditing exchanges.
const exchangedShare = 0.1

// auditing exchanges labels of Caltech-101 and compares how well package audit and cleanlab find
// them from the same embeddings.
func auditing(o options) error {
	start := time.Now()
	model, err := zoo.Load(zoo.Photo)
	if err != nil {
		return err
	}
	metric, err := model.Metric()
	if err != nil {
		return err
	}
	set, err := o.embedded(model, false)
	if err != nil {
		return err
	}
	odd, err := o.embedded(model, true)
	if err != nil {
		return err
	}
	set.Rows, set.Data, set.Labels = set.Rows+odd.Rows, append(set.Data, odd.Data...), append(set.Labels, odd.Labels...)
	versions, err := exec.Command(o.python, "-c", "import platform, sklearn, cleanlab; print('Python', platform.python_version()); print('scikit-learn', sklearn.__version__); print('cleanlab', cleanlab.__version__)").Output()
	if err != nil {
		return errors.Wrapf(err, "%s cannot import scikit-learn and cleanlab: give the path of an interpreter that can with -python", o.python)
	}
	folder, err := os.MkdirTemp("", "audit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	embeddings := filepath.Join(folder, "embeddings.npy")
	if err := (&retrieval.Collection{Files: make([]string, set.Rows), Embeddings: set.Embeddings}).WriteFile(embeddings); err != nil {
		return err
	}
	precisions := map[string][]float64{}
	var details []string
	for seed := range uint64(o.seeds) {
		labels, exchanged := exchange(set.Labels, exchangedShare, seed+1)
		result, err := audit.Embeddings(context.Background(), metric, evaluate.Labeled{Embeddings: set.Embeddings, Labels: labels}, audit.Options{Seed: seed + 1})
		if err != nil {
			return err
		}
		found, right := 0, 0
		ranking := make([]int, len(result.Labels))
		for i, f := range result.Labels {
			ranking[i] = f.Row
			if f.Issue && exchanged[f.Row] {
				if found++; f.Suggested == set.Labels[f.Row] {
					right++
				}
			}
		}
		precisions["likeness audit"] = append(precisions["likeness audit"], averagePrecision(ranking, exchanged))
		details = append(details, fmt.Sprintf("seed %d: %d images counted as label errors, of which %d of the %d exchanged ones, %d of these with their own class suggested; λ = %v",
			seed+1, result.Issues, found, countTrue(exchanged), right, result.Shrinkage))
		fmt.Fprintln(os.Stderr, details[seed], precisions["likeness audit"][seed])
		rankings, names, err := o.cleanlab(folder, embeddings, labels)
		if err != nil {
			return err
		}
		for i, name := range names {
			precisions[name] = append(precisions[name], averagePrecision(rankings[i], exchanged))
			fmt.Fprintln(os.Stderr, name, precisions[name][seed])
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d pictures of %d classes of Caltech-101 without BACKGROUND_Google; embeddings of the bundled model photo. The labels of %.0f %% of the\npictures are exchanged among them, so that each has a wrong one. cleanlab has the out-of-sample probabilities (5 folds) of scikit-learn's\nlogistic regression on the same embeddings. Some labels of the original are wrong or ambiguous, too, and count as right.\n\n",
		set.Rows, classCount(set.Labels), 100*exchangedShare)
	fmt.Fprint(&text, "| ranking of the pictures | area under the precision-recall curve (average precision), mean |")
	for seed := range o.seeds {
		fmt.Fprintf(&text, " seed %d |", seed+1)
	}
	fmt.Fprintf(&text, "\n|---|---|%s\n", strings.Repeat("---|", o.seeds))
	names := make([]string, 0, len(precisions))
	for name := range precisions {
		names = append(names, name)
	}
	mean := func(name string) (sum float64) {
		for _, p := range precisions[name] {
			sum += p / float64(len(precisions[name]))
		}
		return sum
	}
	slices.SortFunc(names, func(a, b string) int {
		if mean(a) != mean(b) {
			return map[bool]int{true: -1, false: 1}[mean(a) > mean(b)]
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		fmt.Fprintf(&text, "| %s | %.4f |", name, mean(name))
		for _, p := range precisions[name] {
			fmt.Fprintf(&text, " %.4f |", p)
		}
		fmt.Fprintln(&text)
	}
	fmt.Fprintf(&text, "\nlikeness audit, %s.\n", strings.Join(details, ";\n"))
	fmt.Print(text.String())
	return record.Record{
		Title:   "Label errors on Caltech-101",
		Command: fmt.Sprintf("go run ./benchmarks/photographs audit -data %s -keep EMBEDDINGS -python PYTHON", filepath.Base(o.data)),
		Tools:   strings.Split(strings.TrimSpace(string(versions)), "\n"),
		Took:    time.Since(start), Result: text.String(),
	}.WriteFile(filepath.Join(o.out, "photographs-audit.md"))
}

// exchange returns labels of which a share is exchanged among these, and which ones: none of them
// keeps its own.
func exchange(labels []int, share float64, seed uint64) (noisy []int, exchanged []bool) {
	r := random.New(seed, "exchanged labels")
	noisy, exchanged = slices.Clone(labels), make([]bool, len(labels))
	rows := r.Perm(len(labels))[:int(share*float64(len(labels)))]
	given := make([]int, len(rows))
	for i, from := range r.Perm(len(rows)) {
		given[i] = labels[rows[from]]
	}
	// A row that would keep its label changes places with another one, unless one of them would then
	// have its own.
	for i := range rows {
		for given[i] == labels[rows[i]] {
			if j := r.IntN(len(rows)); given[j] != labels[rows[i]] && given[i] != labels[rows[j]] {
				given[i], given[j] = given[j], given[i]
			}
		}
	}
	for i, row := range rows {
		noisy[row], exchanged[row] = given[i], true
	}
	return noisy, exchanged
}

// averagePrecision is the mean over the relevant rows of the proportion of relevant rows among those
// up to each in the ranking, which is the area under the precision-recall curve.
func averagePrecision(ranking []int, relevant []bool) (sum float64) {
	found := 0
	for place, row := range ranking {
		if relevant[row] {
			found++
			sum += float64(found) / float64(place+1)
		}
	}
	return sum / float64(countTrue(relevant))
}

func countTrue(of []bool) (n int) {
	for _, is := range of {
		if is {
			n++
		}
	}
	return n
}

// cleanlab returns the rankings of the reference with their names.
func (o options) cleanlab(folder, embeddings string, labels []int) (rankings [][]int, names []string, err error) {
	var text strings.Builder
	for _, label := range labels {
		fmt.Fprintln(&text, label)
	}
	file := filepath.Join(folder, "labels.txt")
	if err := os.WriteFile(file, []byte(text.String()), 0o666); err != nil {
		return nil, nil, err
	}
	command := exec.Command(o.python, "-B", "benchmarks/photographs/reference_audit.py", embeddings, file)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, nil, errors.Wrap(err, "run the reference")
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		name, rows, _ := strings.Cut(line, ":")
		var ranking []int
		for _, field := range strings.Fields(rows) {
			row := 0
			if _, err := fmt.Sscan(field, &row); err != nil || row < 0 || row >= len(labels) {
				return nil, nil, errors.Errorf("the reference %s: found the row %q", name, field)
			}
			ranking = append(ranking, row)
		}
		if different := classCount(ranking); different != len(labels) || len(ranking) != len(labels) {
			return nil, nil, errors.Errorf("the reference %s ranks %d different rows in %d places, expected %d", name, different, len(ranking), len(labels))
		}
		rankings, names = append(rankings, ranking), append(names, name)
	}
	return rankings, names, nil
}
