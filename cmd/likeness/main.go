package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/fetch"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/quantize"
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// Exit codes.
const (
	success = iota
	failure
	misuse // of flags and arguments
)

// commands are the commands of the tool.
type commands struct {
	Train          trainCommand          `cmd:"" help:"Train a network and measure how good it is."`
	Sweep          sweepCommand          `cmd:"" help:"Search for the best settings of a training."`
	Eval           evalCommand           `cmd:"" help:"Measure the model of a run folder again."`
	Embed          embedCommand          `cmd:"" help:"Compute the embeddings of images."`
	Compare        compareCommand        `cmd:"" help:"Print the distance between two images."`
	NearDuplicates nearDuplicatesCommand `cmd:"" help:"Find near-duplicate images in a folder."`
	Search         searchCommand         `cmd:"" help:"Find the most similar images in a folder."`
	Enroll         enrollCommand         `cmd:"" help:"Add example images of classes to a gallery."`
	Identify       identifyCommand       `cmd:"" help:"Identify images: the nearest class of a gallery, or unknown."`
	Verify         verifyCommand         `cmd:"" help:"Verify that an image is of a class of a gallery."`
	Forget         forgetCommand         `cmd:"" help:"Remove a class from a gallery."`
	Classes        classesCommand        `cmd:"" help:"List the classes of a gallery."`
	Calibrate      calibrateCommand      `cmd:"" help:"Find the rejection threshold of a gallery for a false accept rate."`
	Gallery        galleryCommand        `cmd:"" help:"Copy a gallery, or build its index."`
	Serve          serveCommand          `cmd:"" help:"Serve the HTTP API and the web UI."`
	Adapt          adaptCommand          `cmd:"" help:"Adapt a model to the classes of a folder in seconds, without training its network."`
	Quantize       quantizeCommand       `cmd:"" help:"Make a model in integers of 8 bits, which is smaller and embeds faster."`
	Audit          auditCommand          `cmd:"" help:"Find images of a folder that are probably labeled wrongly, and outliers."`
	Export         exportCommand         `cmd:"" help:"Export a model to ONNX."`
	Import         importCommand         `cmd:"" help:"Import PyTorch weights or an ONNX network."`
	Fetch          fetchCommand          `cmd:"" help:"Download a published data set or pretrained weights."`
	Doctor         doctorCommand         `cmd:"" help:"Check that the program and its models work on this machine."`
	Bench          benchCommand          `cmd:"" help:"Measure the speed of layers and training steps on this machine."`

	Version kong.VersionFlag `help:"Print the version and the instruction set in use."`
}

// console is the output of a command: results go to out, everything else to err.
type console struct {
	context.Context
	out, err io.Writer
	given    map[string]bool // the settings that are given as flags, by their TOML keys
	reason   string          // why loadModel chose a bundled model; empty if --model did
	kept     *cache.Cache    // of embeddings and traits, see cacheFlags.open; may be nil
}

// say writes a line that is not a result. It stays one line whatever the arguments are.
func (c *console) say(format string, arguments ...interface{}) {
	fmt.Fprintln(c.err, gallery.HidePasswords(printable(fmt.Sprintf(format, arguments...))))
}

// checked is a writer that keeps its first error, so that a command whose results could
// not be written, to a full disk perhaps, fails.
type checked struct {
	io.Writer
	err error
}

func (c *checked) Write(text []byte) (int, error) {
	n, err := c.Writer.Write(text)
	if c.err == nil {
		c.err = err
	}
	return n, err
}

// print writes a line that is a result. It stays one line whatever the arguments are.
func (c *console) print(format string, arguments ...interface{}) {
	fmt.Fprintln(c.out, gallery.HidePasswords(printable(fmt.Sprintf(format, arguments...))))
}

func main() {
	delayCollection()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // the next interrupt kills
		if collective.Launcher().Rank > 0 {
			return // rank 0 says so
		}
		fmt.Fprintln(os.Stderr, "\ninterrupted: shutting down; interrupt again to kill")
	})
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// delayCollection makes the first garbage collection wait for 128 MB of memory. A short command
// then needs none, and afterwards collections are as usual. GOGC, if it is set, is left alone.
func delayCollection() {
	if os.Getenv("GOGC") != "" {
		return
	}
	const megabytes = 128
	usual := debug.SetGCPercent(100 * megabytes / 4) // the smallest heap that is collected has 4 MB at 100
	collected := new([16]byte)
	runtime.AddCleanup(collected, func(percent int) { debug.SetGCPercent(percent) }, usual)
}

// version is that of the module, as it was built.
func version() string {
	text, revision, modified := "unknown", "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		text = info.Main.Version
		for _, setting := range info.Settings {
			switch {
			case setting.Key == "vcs.revision":
				revision = ", commit " + setting.Value[:min(12, len(setting.Value))]
			case setting.Key == "vcs.modified" && setting.Value == "true":
				modified = " with changes"
			}
		}
	}
	return fmt.Sprintf("likeness %s%s%s, %s, %s", text, revision, modified, runtime.Version(), graph.Arithmetic())
}

// grammar returns a pointer to the commands that the parser of the arguments must know: to all of them,
// or to a struct of the one that the arguments begin with. Building the parser of all commands takes
// about ten milliseconds, which is long for a command that compares two images.
func grammar(args []string) any {
	all := reflect.TypeFor[commands]()
	for i := range all.NumField() - 1 { // the last is the flag of the version
		field := all.Field(i)
		if len(args) > 0 && strings.EqualFold(strings.ReplaceAll(args[0], "-", ""), field.Name) {
			version, _ := all.FieldByName("Version")
			return reflect.New(reflect.StructOf([]reflect.StructField{field, version})).Interface()
		}
	}
	return new(commands)
}

// newParser returns the parser of arguments for commands, see grammar. It calls exit after it has
// printed help or the version, and then continues.
func newParser(commands any, args []string, stdout, stderr io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(commands, append(textMappers(),
		kong.Name("likeness"),
		kong.Description("Train siamese and triplet networks for image similarity, and use them. Start with: likeness train"),
		kong.Writers(stdout, stderr),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ValueFormatter(helpWithDefault),
		kong.Help(printHelp(args)),
		kong.Vars{
			"backbones": strings.Join(backbone.Names, ", "), "zoo": strings.Join(zoo.Names(), ", "),
			"published": strings.Join(fetch.Names(), ", "), "weights": strings.Join(fetch.WeightNames(), ", "), "version": version(),
			"candidates": strconv.Itoa(gallery.DefaultCandidates), "calibration": strconv.Itoa(quantize.DefaultImages),
		},
	)...)
}

// execute runs the command of the arguments until the context ends, and returns the
// exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if err := graph.EnvironmentError(); err != nil {
		fmt.Fprintf(stderr, "likeness: %s\n", printable(strings.ReplaceAll(err.Error(), "\n", "; ")))
		return failure
	}
	if len(args) == 0 {
		_ = execute(ctx, []string{"--help"}, stderr, stderr)
		return misuse
	}
	args = helpFlags(args)
	helped := false
	parser, err := newParser(grammar(args), args, stdout, stderr, func(int) { helped = true })
	if err != nil {
		fmt.Fprintf(stderr, "likeness: %v\n", err)
		return failure
	}
	args, renamed := currentNames(args)
	parsed, err := parser.Parse(args)
	switch {
	case helped:
		return success
	case err != nil:
		fmt.Fprintf(stderr, "likeness: %s; see %s --help\n", gallery.HidePasswords(printable(parseError(err).Error())), commandOf(err))
		return misuse
	}
	if err := refuseLauncher(parsed.Command()); err != nil {
		if !errors.Is(err, errQuiet) {
			fmt.Fprintf(stderr, "likeness: %s\n", printable(err.Error()))
		}
		return failure
	}
	for _, text := range renamed {
		fmt.Fprintf(stderr, "warning: %s\n", text)
	}
	results := &checked{Writer: stdout}
	err = parsed.Run(&console{Context: ctx, out: results, err: stderr, given: givenFlags(parsed)})
	if err == nil {
		err = errors.Wrap(results.err, "print the results")
	}
	if errors.Is(err, errQuiet) {
		return failure
	}
	if err != nil {
		fmt.Fprintf(stderr, "likeness: %s\n", gallery.HidePasswords(printable(err.Error())))
		return failure
	}
	return success
}
