package load

import (
	"context"
	"flag"
	"os"
	"time"

	"github.com/pkg/errors"
)

// model is of the zoo.
const model = "omniglot"

// Bounds of what is found.
const (
	mostGrowth    = 0.1              // of the largest memory of the last third above that of the second
	mostLeft      = 8                // goroutines and descriptors after the load beyond those before
	recoveryBound = 10 * time.Second // after an overload
	shutdownBound = 15 * time.Second // serve.Options.ShutdownTimeout
	usualTime     = 10 * time.Second // before the overload
	overloadTime  = 20 * time.Second
)

// Finding is one thing that was measured.
type Finding struct{ What, Figure string }

// options are the check's.
type options struct {
	minutes        float64
	clients, crowd int // of the load, of the overload
	remark         string
}

func parse(arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.Float64Var(&o.minutes, "minutes", 10, "`length` of the load")
	flags.IntVar(&o.clients, "clients", 64, "`number` of clients of the load")
	flags.IntVar(&o.crowd, "crowd", 512, "`number` of clients of the overload")
	flags.StringVar(&o.remark, "remark", "", "`text` to record with the findings")
	if err := flags.Parse(arguments); err != nil {
		return o, errors.WithStack(err)
	}
	switch {
	case flags.NArg() > 0:
		return o, errors.Errorf("found the argument %q, expected flags alone", flags.Arg(0))
	case o.minutes <= 0:
		return o, errors.Errorf("-minutes is %v, expected more than 0", o.minutes)
	case o.clients < 1 || o.clients > 64:
		return o, errors.Errorf("-clients is %d, expected 1 to the 64 that the server takes at a time", o.clients)
	case o.crowd <= 64:
		return o, errors.Errorf("-crowd is %d, expected more than the 64 that the server takes at a time", o.crowd)
	}
	return o, nil
}

// Run makes the check. It ends with an error where the server broke a promise.
func Run(ctx context.Context, arguments []string, note func(format string, arguments ...any)) (findings []Finding, err error) {
	o, err := parse(arguments)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "load")
	if err != nil {
		return nil, errors.WithStack(err)
	}
	defer func() {
		if removing := os.RemoveAll(folder); err == nil {
			err = errors.WithStack(removing)
		}
	}()
	s, err := start(ctx, folder)
	if err != nil {
		return nil, err
	}
	defer s.kill() // if it has not ended
	crowd, err := newClients(o.crowd, s)
	if err != nil {
		return nil, err
	}
	c := &check{options: o, server: s, users: crowd[:o.clients], masses: crowd, note: note}
	for _, phase := range []func(context.Context) error{c.load, c.overload, c.shutdown} {
		if err := phase(ctx); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if o.remark != "" {
		c.found("remark", "%s", o.remark)
	}
	return c.findings, nil
}
