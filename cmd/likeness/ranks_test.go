package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/trainer"
)

// short is a training of a moment on the embedded data.
var short = []string{"--backbone", "conv4", "--width", "4", "--objective", "n-pair", "--epochs", "2", "--steps-per-epoch", "2", "--batch", "32", "--batch-parts", "4", "--augment", "0", "--threads", "1"}

// Several processes that do not know of each other are refused.
func TestLauncherIsRefused(t *testing.T) {
	t.Setenv("OMPI_COMM_WORLD_SIZE", "4")
	t.Setenv("OMPI_COMM_WORLD_RANK", "0")
	for command, want := range map[string]string{"doctor": "found 4 processes of mpirun, but likeness doctor is done by one", "train": "-tags mpi"} {
		if collective.Built && command == "train" {
			continue
		}
		var out, problems bytes.Buffer
		if code := execute(context.Background(), []string{command}, &out, &problems); code != failure || !strings.Contains(problems.String(), want) || out.Len() > 0 {
			t.Errorf("%s: found the exit code %d and %q, expected %q", command, code, problems.String(), want)
		}
	}
}

func TestThreadsOfRank(t *testing.T) {
	for _, test := range []struct{ processors, ranks, want int }{{16, 4, 4}, {2, 8, 1}, {16, 0, 16}, {7, 2, 3}} {
		if found := threadsOfRank(test.processors, test.ranks); found != test.want {
			t.Errorf("%d processors and %d ranks: found %d threads, expected %d", test.processors, test.ranks, found, test.want)
		}
	}
}

// Ranks write one run folder, whose model has the same bytes for any number of them, also if the training is
// interrupted and resumed on another number.
func TestRanksTrainOneModel(t *testing.T) {
	testutil.InFolder(t)
	bars(t, "bars", 24, 8)
	var c commands
	parser, err := newParser(&c, nil, nil, nil, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(append([]string{"train", "--data", "bars", "--size", "28x28x1"}, short...))
	if err != nil {
		t.Fatal(err)
	}
	settings, _, err := run.Configure("", c.Train.Settings, givenFlags(parsed))
	if err != nil {
		t.Fatal(err)
	}
	models := map[string][]byte{}
	for _, ranks := range []int{1, 2} {
		own := settings
		own.Out = fmt.Sprint("run-", ranks)
		for rank, err := range collective.Local(ranks, func(c *collective.Communicator) error {
			result, err := run.Train(collective.NewContext(context.Background(), c), own, nil)
			if err == nil && (len(result.Report.Metrics) > 0) != c.Root() {
				err = errors.New("expected a report of rank 0 only")
			}
			return err
		}) {
			if err != nil {
				t.Fatalf("rank %d of %d: %v", rank, ranks, err)
			}
		}
		models[own.Out], _ = os.ReadFile(filepath.Join(own.Out, "model.safetensors"))
	}
	own := settings
	own.Out = "resumed"
	collective.Local(2, func(c *collective.Communicator) error {
		ctx, stop := context.WithCancel(collective.NewContext(context.Background(), c))
		defer stop()
		_, err := run.Train(ctx, own, &run.Observer{Step: func(s trainer.Step) {
			if s.Number == 3 {
				stop()
			}
		}})
		return err
	})
	for rank, err := range collective.Local(4, func(c *collective.Communicator) error {
		_, err := run.Resume(collective.NewContext(context.Background(), c), run.Folder(own.Out), false, nil)
		return err
	}) {
		if err != nil {
			t.Fatalf("resume, rank %d: %v", rank, err)
		}
	}
	models[own.Out], _ = os.ReadFile(filepath.Join(own.Out, "model.safetensors"))
	for name, model := range models {
		if len(model) == 0 || !bytes.Equal(model, models["run-1"]) {
			t.Errorf("%s has another model than one rank", name)
		}
	}
}

// Ranks divide the files of embed, near-duplicates and search, and give the output of one process, byte for byte, also
// with broken files and a cache; an error is reported as by one process, too.
func TestRanksDivideFiles(t *testing.T) {
	agedBars(t)
	bars(t, "bars", 3, 23) // more than a group
	write(t, "bars/broken.png", "no image")
	write(t, "query.png", bar(t, 1, 99, 12))
	for _, args := range filesOfRanks {
		os.Remove("out.csv")
		want, _ := tool(t, append(args, "--no-cache")...)
		wanted, _ := os.ReadFile("out.csv")
		for range 2 { // the second time from the cache
			os.Remove("out.csv")
			outs := ranksOf(t, 2, append(args, "--cache", "kept.db")...)
			if found, _ := os.ReadFile("out.csv"); outs[0] != want || outs[1] != "" || !bytes.Equal(found, wanted) {
				t.Errorf("%s: two ranks give another result than one process: %s", args[0], cmp.Diff(want, outs[0]+outs[1]))
			}
		}
	}
	out, said := tool(t, append(filesOfRanks[0], "--cache", "kept.db")...)
	if !strings.Contains(said, "69 of 69 embeddings from the cache") {
		t.Errorf("the cache of two ranks lacks embeddings: found\n%s%s", out, said)
	}
	var problems bytes.Buffer
	for rank, err := range collective.Local(2, func(ranks *collective.Communicator) error {
		command := embedCommand{Images: []string{"bars"}, Model: "omniglot", Out: "out.npy", cacheFlags: cacheFlags{NoCache: true}}
		c := &console{Context: collective.NewContext(t.Context(), ranks), out: io.Discard, err: io.Discard}
		if ranks.Root() {
			c.err = &problems
		}
		return command.run(c)
	}) {
		if err == nil || !strings.Contains(err.Error(), "bars/broken.png") || !strings.Contains(err.Error(), "--skip-broken") && rank == 0 || exists("out.npy") {
			t.Errorf("rank %d: found the error %v of a broken file", rank, err)
		}
	}
}

// filesOfRanks are commands that ranks do together.
var filesOfRanks = [][]string{
	{"embed", "bars", "--out", "out.csv", "--model", "omniglot", "--skip-broken"},
	{"near-duplicates", "bars", "--model", "omniglot", "--threshold", "0.05", "--force", "--json", "--skip-broken"},
	{"search", "query.png", "--in", "bars", "--model", "omniglot", "--force", "--json", "--skip-broken"},
}

// ranksOf runs a command as several ranks of one process, and returns what each prints.
func ranksOf(t *testing.T, count int, args ...string) []string {
	t.Helper()
	outs := make([]bytes.Buffer, count)
	for rank, err := range collective.Local(count, func(ranks *collective.Communicator) error {
		var c commands
		parser, err := newParser(&c, nil, io.Discard, io.Discard, func(int) {})
		if err != nil {
			return err
		}
		parsed, err := parser.Parse(args)
		if err != nil {
			return err
		}
		return parsed.Run(&console{Context: collective.NewContext(t.Context(), ranks), out: &outs[ranks.Rank()], err: io.Discard})
	}) {
		if err != nil {
			t.Fatalf("%v: rank %d: %v", args, rank, err)
		}
	}
	var texts []string
	for i := range outs {
		texts = append(texts, outs[i].String())
	}
	return texts
}

// The same with processes of mpirun, which refuse what one process does, and parts that the ranks
// cannot share.
func TestMPITraining(t *testing.T) {
	mpirun := testutil.MPI(t)
	folder := t.TempDir()
	program := filepath.Join(folder, "likeness")
	if out, err := exec.Command("go", "build", "-tags", "mpi", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build with -tags mpi: %v\n%s", err, out)
	}
	job := func(ranks int, words ...string) (string, error) {
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
		defer stop()
		command := exec.CommandContext(ctx, mpirun[0], append(append(mpirun[1:], "-np", fmt.Sprint(ranks), program), words...)...)
		command.Dir = folder
		out, err := command.CombinedOutput()
		return string(out), err
	}
	var models [][]byte
	for _, more := range [][]string{{"--batch-norm"}, {"--batch-norm", "--sync-batch-norm"}} {
		var want []byte
		for _, ranks := range []int{1, 2, 4} {
			name := fmt.Sprint("run", len(models), "-", ranks)
			if out, err := job(ranks, slices.Concat([]string{"train", "--out", name}, short, more)...); err != nil {
				t.Fatalf("%d ranks: %v\n%s", ranks, err, out)
			}
			model, err := os.ReadFile(filepath.Join(folder, name, "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = model
			}
			if !bytes.Equal(model, want) {
				t.Errorf("%v: %d ranks give another model than one", more, ranks)
			}
		}
		models = append(models, want)
	}
	if bytes.Equal(models[0], models[1]) {
		t.Error("--sync-batch-norm changes nothing")
	}
	if out, err := job(2, "train", "--out", "none", "--batch-parts", "3"); err == nil || !strings.Contains(out, "--batch-parts") {
		t.Errorf("3 parts on 2 ranks: found the error %v\n%s", err, out)
	}
	testutil.Bars(t, filepath.Join(folder, "bars"), 3, 25)
	testutil.Write(t, filepath.Join(folder, "query.png"), testutil.Bar(t, 1, 99, 12))
	for _, args := range filesOfRanks {
		var want []byte
		for _, ranks := range []int{1, 2, 4} {
			os.Remove(filepath.Join(folder, "out.csv"))
			out, err := job(ranks, append(args, "--cache", "kept.db")...)
			if err != nil {
				t.Fatalf("%v on %d ranks: %v\n%s", args, ranks, err, out)
			}
			lines := slices.Collect(strings.Lines(out))
			found, _ := os.ReadFile(filepath.Join(folder, "out.csv"))
			found = append(found, lines[len(lines)-1]...) // of JSON
			if args[0] == "embed" {
				found = found[:len(found)-len(lines[len(lines)-1])]
			}
			if want == nil {
				want = found
			}
			if !bytes.Equal(found, want) || len(found) < 100 {
				t.Errorf("%s: %d ranks give another result than one:\n%s", args[0], ranks, out)
			}
		}
	}
	if out, err := job(2, "doctor"); err == nil || !strings.Contains(out, "is done by one") {
		t.Errorf("doctor on 2 ranks: found the error %v\n%s", err, out)
	}
}
