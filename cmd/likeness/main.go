package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/fetch"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// Exit codes.
const (
	success = iota
	failure
	misuse // of flags and arguments
)

// commands are what the tool does.
type commands struct {
	Train          trainCommand          `cmd:"" help:"Train a network and say how good it is."`
	Eval           evalCommand           `cmd:"" help:"Print the table of a run again, from its files."`
	Embed          embedCommand          `cmd:"" help:"Turn images into vectors."`
	Compare        compareCommand        `cmd:"" help:"Say how alike two images are."`
	NearDuplicates nearDuplicatesCommand `cmd:"" help:"List the images of a folder that are nearly the same."`
	Search         searchCommand         `cmd:"" help:"List the images of a folder that are nearest to one."`
	Enroll         enrollCommand         `cmd:"" help:"Make classes known to a gallery, by an image or more of each."`
	Identify       identifyCommand       `cmd:"" help:"Say which class of a gallery images are of, or that it is unknown."`
	Verify         verifyCommand         `cmd:"" help:"Say whether an image is of a class of a gallery."`
	Forget         forgetCommand         `cmd:"" help:"Remove a class from a gallery."`
	Classes        classesCommand        `cmd:"" help:"List the classes of a gallery."`
	Calibrate      calibrateCommand      `cmd:"" help:"Find the distance from which a gallery says unknown."`
	Serve          serveCommand          `cmd:"" help:"Answer over HTTP, programs by an API and people by a page."`
	Export         exportCommand         `cmd:"" help:"Write a model for ONNX Runtime."`
	Import         importCommand         `cmd:"" help:"Take weights that PyTorch saved into a network."`
	Fetch          fetchCommand          `cmd:"" help:"Download a published data set."`
	Doctor         doctorCommand         `cmd:"" help:"Examine whether the program and models work on this machine."`
	Bench          benchCommand          `cmd:"" help:"Measure this machine: layers and whole steps."`

	Version kong.VersionFlag `help:"Print the version and how kernels compute on this machine."`
}

// console is where a command speaks: results to out, everything else to err.
type console struct {
	context.Context
	out, err io.Writer
	given    map[string]bool // the settings that are given as flags, by their TOML keys
}

// say writes a line that is no result. It stays one line whatever the arguments hold.
func (c *console) say(format string, arguments ...interface{}) {
	fmt.Fprintln(c.err, printable(fmt.Sprintf(format, arguments...)))
}

// checked is a writer that keeps its first error, so that results that did not
// come through, to a full disk perhaps, are no success.
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

// print writes a line that is a result. It stays one line whatever the arguments hold.
func (c *console) print(format string, arguments ...interface{}) {
	fmt.Fprintln(c.out, printable(fmt.Sprintf(format, arguments...)))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // the next interrupt kills
		fmt.Fprintln(os.Stderr, "\ninterrupted: ending cleanly; interrupt once more to kill")
	})
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
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

// run is the program: it does what the arguments say until the context ends,
// and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if err := graph.EnvironmentError(); err != nil {
		fmt.Fprintf(stderr, "likeness: %s\n", printable(strings.ReplaceAll(err.Error(), "\n", "; ")))
		return failure
	}
	var c commands
	helped := false
	parser, err := kong.New(&c, append(textMappers(),
		kong.Name("likeness"),
		kong.Description("Train networks that say how alike two images are, and use them. Begin with: likeness train"),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ValueFormatter(helpWithDefault),
		kong.Vars{
			"backbones": strings.Join(backbone.Names, ", "), "zoo": strings.Join(zoo.Names(), ", "),
			"published": strings.Join(fetch.Names(), ", "), "version": version(),
		},
	)...)
	if err != nil {
		fmt.Fprintf(stderr, "likeness: %v\n", err)
		return failure
	}
	parsed, err := parser.Parse(args)
	switch {
	case helped:
		return success
	case err != nil:
		fmt.Fprintf(stderr, "likeness: %s; likeness --help tells more\n", printable(err.Error()))
		return misuse
	}
	results := &checked{Writer: stdout}
	err = parsed.Run(&console{Context: ctx, out: results, err: stderr, given: givenFlags(parsed)})
	if err == nil {
		err = errors.Wrap(results.err, "print the results")
	}
	if err != nil {
		fmt.Fprintf(stderr, "likeness: %s\n", printable(err.Error()))
		return failure
	}
	return success
}
