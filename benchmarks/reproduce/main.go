package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/pkg/errors"
)

// job is a training and the measurements of its result.
type job struct {
	name, what string
	run        func(ctx context.Context, s settings) ([]Row, error)
}

var jobs = append([]job{
	{"omniglot", "all 30 background alphabets: Lake's runs, episodes of the evaluation alphabets, MNIST one-shot", omniglotJob("omniglot")},
	{"omniglot-pens", "the same with stroke-width augmentation, for digits", omniglotJob("omniglot-pens")},
	{"omniglot-long", "the same with a larger network and longer training: about half an hour", omniglotJob("omniglot-long")},
	{"omniglot-three", "the same with an ensemble of three such networks, each trained a third as long", omniglotJob("omniglot-three")},
	{"small1", "the minimal split small 1: Lake's runs", omniglotJob("small1")},
	{"small2", "the minimal split small 2: Lake's runs", omniglotJob("small2")},
	{"short", "the minimal split small 1, embedded, for 1,000 steps, as likeness train does by default: Lake's runs", short("n-pair")},
	{"short-ratio", "the same by the softmax ratio", short("ratio")},
	{"short-contrastive", "the same by the contrastive loss", short("batch-contrastive")},
	{"short-cross-entropy", "the same by cross-entropy over weighted L1", short("cross-entropy")},
	{"short-triplet", "the same by the triplet loss", short("triplet")},
	{"validate", "validate settings, given as flags after the name, on alphabets held out of the background", validate},
	{"validate-mnist", "validate settings, given as flags after the name, on held-out training images of MNIST", validateDigits},
	{"verification", "24 background alphabets, a threshold from the other six: pairs of the evaluation alphabets", defaultVerification},
	{"verification-long", "the same by a larger network and longer", longVerification},
	{"head-verification", "the same by Koch's head and loss on the default network", headVerification},
	{"koch-verification", "the same by a narrow network of Koch's, his head and his loss", kochVerification},
	{"vinyals", "the split of Vinyals et al.: episodes across alphabets", vinyals},
	{"contrastive", "Lake's runs by the contrastive loss alone", loss("batch-contrastive")},
	{"triplet", "Lake's runs by the triplet loss alone", loss("triplet")},
	{"ratio", "Lake's runs by the ratio loss alone", loss("ratio")},
	{"mnist-hoffer", "MNIST by the network and the loss of Hoffer & Ailon", mnist("mnist-hoffer", Row{
		Protocol: ", without augmentation", Method: "ratio, l2, all triplets of a batch, Hoffer's network", Published: "Hoffer & Ailon 99.54 ± 0.08",
	})},
	{"mnist", "MNIST by the best recipe", mnist("mnist", Row{
		Protocol: ", with augmentation", Method: "supervised-contrastive, cosine, Conv7", Published: "Hoffer & Ailon 99.54 ± 0.08",
	})},
	{"mnist-three", "MNIST with an ensemble of three networks of the best recipe", mnist("mnist-three", Row{
		Protocol: ", with augmentation", Method: "supervised-contrastive, cosine, ensemble of three Conv7", Published: "Hoffer & Ailon 99.54 ± 0.08",
	})},
	{"cifar", "CIFAR-10 by the network and the loss of Hoffer & Ailon; -data is the folder of its binary version", cifar},
	{"fours-nines", "the map of fours and nines of Hadsell, Chopra & LeCun", foursAndNines},
	{"shifted", "their map of shifted fours and nines", shifted},
	{"cross-entropy", "Lake's runs by cross-entropy over weighted L1 alone", loss("cross-entropy")},
}, kochJobs()...)

// kochJobs returns the jobs of Koch's network, which take flags after their names.
func kochJobs() (jobs []job) {
	for _, k := range kochRuns {
		jobs = append(jobs, job{k.name, k.method + ", up to two hours (-minutes N after the name)", k.train})
	}
	return jobs
}

// settings are the values of the flags.
type settings struct {
	data    string
	seed    uint64
	quick   bool
	steps   int // of training; 0 for the recipe's
	command string
	commit  string
	out     string // folder of the results; empty for none
	save    string // file for the model; empty for none
	side    int    // of the images in pixels
	// arguments are what follows the name of a job.
	arguments []string
	note      func(format string, arguments ...any)
}

func main() {
	s := settings{side: side, note: func(format string, arguments ...any) { fmt.Fprintf(os.Stderr, format+"\n", arguments...) }}
	flag.StringVar(&s.data, "data", os.Getenv("LIKENESS_OMNIGLOT"), "`folder` of Omniglot's official files; LIKENESS_OMNIGLOT names it, too")
	flag.Uint64Var(&s.seed, "seed", 1, "random seed of the weights, batches and augmentation; the test trials are the same for all seeds")
	flag.IntVar(&s.steps, "steps", 0, "number of training `steps`, for a short test of jobs with a recipe; 0 for that of the recipe")
	flag.BoolVar(&s.quick, "quick", false, "train a tenth as long")
	flag.StringVar(&s.save, "save", "", "`file` to save the trained model to, such as omniglot.safetensors")
	flag.StringVar(&s.out, "out", "benchmarks/results", "`folder` of accuracy.jsonl and accuracy.md; empty writes nothing")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := reproduce(ctx, s, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "reproduce:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "Usage: go run ./benchmarks/reproduce [flags] NAME\n\nNames:")
	for _, j := range jobs {
		fmt.Fprintf(os.Stderr, "  %-15s %s\n", j.name, j.what)
	}
	fmt.Fprintln(os.Stderr, "  table           write accuracy.md from the recorded rows\n\nFlags:")
	flag.PrintDefaults()
}

func reproduce(ctx context.Context, s settings, names []string) error {
	out := s.out
	if len(names) == 0 {
		return errors.Errorf("found no name of a job, expected one of %s", jobNames())
	}
	if len(names) > 1 && !strings.HasPrefix(names[0], "validate") && !strings.HasPrefix(names[0], "koch") {
		return errors.Errorf("found %q after %s, expected nothing", names[1:], names[0])
	}
	if names[0] == "table" {
		return writeTable(out)
	}
	i := slices.IndexFunc(jobs, func(j job) bool { return j.name == names[0] })
	if i < 0 {
		return errors.Errorf("found the job %q, expected one of %s", names[0], jobNames())
	}
	s.arguments = names[1:]
	s.command = fmt.Sprintf("go run ./benchmarks/reproduce -seed %d %s", s.seed, strings.Join(names, " "))
	if s.steps > 0 {
		s.command = strings.Replace(s.command, "reproduce", fmt.Sprintf("reproduce -steps %d", s.steps), 1)
	}
	if s.quick {
		s.command = strings.Replace(s.command, "reproduce", "reproduce -quick", 1)
	}
	var err error
	if s.commit, err = record.Commit(); err != nil {
		return err
	}
	rows, err := jobs[i].run(ctx, s)
	if err != nil {
		return errors.Wrap(err, names[0])
	}
	for _, row := range rows {
		fmt.Println(row)
	}
	if out == "" {
		return nil
	}
	if err := appendRows(out, rows); err != nil {
		return err
	}
	return writeTable(out)
}

func jobNames() string {
	var names []string
	for _, j := range jobs {
		names = append(names, j.name)
	}
	return strings.Join(append(names, "table"), ", ")
}
