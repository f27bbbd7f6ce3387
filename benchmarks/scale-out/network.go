package main

import (
	"context"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// alphaBeta is the time that communication takes: alpha seconds for a message, however short, and beta seconds for
// each byte that a rank sends and receives at the same time, with its sum.
type alphaBeta struct{ alpha, beta float64 }

// levels is the number of messages after which all ranks have heard of each other.
func levels(ranks int) float64 { return math.Ceil(math.Log2(float64(ranks))) }

// sum is the time of Communicator.Sum with its header: recursive halving and doubling.
func (m alphaBeta) sum(ranks int, bytes float64) float64 {
	r := float64(ranks)
	return m.alpha*3*levels(ranks) + m.beta*2*bytes*(r-1)/r
}

// step is the time of the communication of a training step: two agreements, the embeddings with their header, and the sum.
func (m alphaBeta) step(ranks int, w costs) float64 {
	r := float64(ranks)
	return m.alpha*4*levels(ranks) + m.beta*w.embeddings*(r-1)/r + m.sum(ranks, w.gradients)
}

// costs are the bytes of a step and the seconds of its computation on one rank.
type costs struct{ gradients, embeddings, seconds float64 }

// nodes are network namespaces, each with a network interface of a limited rate in both directions.
type nodes struct {
	folder string
	count  int
}

// newNodes makes namespaces that are connected by a bridge.
func newNodes(ctx context.Context, count int, rate string) (*nodes, error) {
	n := &nodes{count: count}
	var err error
	if n.folder, err = os.MkdirTemp("", "nodes-"); err != nil {
		return nil, err
	}
	n.remove(ctx)
	script := "set -e\nip link add sobr0 type bridge\nip addr add 10.77.0.254/24 dev sobr0\nip link set sobr0 up\n"
	for i := range count {
		script += fmt.Sprintf(`ip netns add so%[1]d
ip link add sov%[1]d type veth peer name eth0 netns so%[1]d
ip link set sov%[1]d master sobr0 up
ip -n so%[1]d link set lo up
ip -n so%[1]d addr add 10.77.0.%[2]d/24 dev eth0
ip -n so%[1]d link set eth0 up
tc -n so%[1]d qdisc add dev eth0 root tbf rate %[3]s burst 128kb latency 200ms
`, i, i+1, rate)
	}
	if err := command(ctx, "", "sh", "-c", script).run(); err != nil {
		n.remove(ctx)
		return nil, errors.Wrap(err, "network namespaces, which need the right to administer networks")
	}
	// mpirun starts its daemon on each node by this program, in the place of ssh.
	agent := "#!/bin/sh\nhost=$1; shift\nexec ip netns exec $host unshare -u sh -c 'hostname \"$0\"; exec sh -c \"$1\"' $host \"$*\"\n"
	if _, err := temporaryFile(n.folder, "agent", agent); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *nodes) remove(ctx context.Context) {
	for i := range 8 {
		_ = command(ctx, "", "ip", "netns", "del", fmt.Sprint("so", i)).run()
	}
	_ = command(ctx, "", "ip", "link", "del", "sobr0").run()
}

// words are what mpirun needs to start a rank on each of so many nodes, over TCP.
func (n *nodes) words(ranks int) []string {
	var hosts []string
	for i := range ranks {
		hosts = append(hosts, fmt.Sprintf("so%d:1", i))
	}
	return []string{
		"--host", strings.Join(hosts, ","), "--mca", "plm_rsh_agent", filepath.Join(n.folder, "agent"), "--mca", "plm_rsh_no_tree_spawn", "1",
		"--mca", "oob_tcp_if_include", "10.77.0.0/24", "--mca", "btl_tcp_if_include", "10.77.0.0/24", "--mca", "btl", "tcp,self", "--mca", "pml", "ob1",
	}
}

// network fits an alpha-beta model to sums on two nodes, compares it with other sizes and whole steps, and predicts the
// efficiency of many nodes at 25 Gbit/s. There are two nodes because there may be two processors: of more ranks some would
// not run when a message comes.
func network(ctx context.Context, o *options) (string, error) {
	const rate = "1gbit"
	text := "Nodes are two network namespaces on one machine, with real TCP connections through interfaces whose rate `tc` limits (tbf). alpha and beta are fitted to sums of 4\nbytes and of the largest size; all else is predicted by\n\n    sum(R, n) = 3·⌈log₂ R⌉·α + 2·n·(R − 1)/R·β\n    step(R) = computation + 4·⌈log₂ R⌉·α + embeddings·(R − 1)/R·β + sum(R, gradients)\n\n| rate | measured | bytes | predicted | measured | error |\n|---|---|---|---|---|---|\n"
	fitted, rows, err := o.checkNetwork(ctx, rate, 64<<20, []string{"conv4", "resnet18"})
	if err != nil {
		return "", err
	}
	worst := 0.
	text += fmt.Sprintf("| %s | fit: α = %.0f µs, 1/β = %.3f Gbit/s | | | | |\n", rate, 1e6*fitted.alpha, 8e-9/fitted.beta)
	for _, r := range rows {
		difference := r.measured/r.predicted - 1
		worst = max(worst, math.Abs(difference))
		text += fmt.Sprintf("| %s | %s | %s | %.2f ms | %.2f ms | %+.1f %% |\n", rate, r.what, r.bytes, 1e3*r.predicted, 1e3*r.measured, 100*difference)
	}
	text += fmt.Sprintf("\nLargest error: **%.1f %%** (at most 15 %% wanted). Networks of other rates and latencies are below.\n\n", 100*worst)
	prediction, err := o.predict(ctx, fitted.alpha)
	return text + prediction, err
}

// row is a prediction with its measurement.
type row struct {
	what, bytes         string
	predicted, measured float64
}

func (o *options) checkNetwork(ctx context.Context, rate string, largest int, steps []string) (m alphaBeta, rows []row, err error) {
	n, err := newNodes(ctx, 2, rate)
	if err != nil {
		return m, nil, err
	}
	defer n.remove(context.WithoutCancel(ctx))
	defer os.RemoveAll(n.folder)
	sum := func(bytes int) (float64, error) {
		return o.measure(ctx, 2, request{Threads: 1, Seconds: 2, Bytes: bytes}, n.words(2)...)
	}
	small, err := sum(4)
	if err != nil {
		return m, nil, err
	}
	large, err := sum(largest)
	if err != nil {
		return m, nil, err
	}
	m.alpha = small / 3
	m.beta = (large - small) / float64(largest)
	for _, bytes := range []int{largest / 16, largest / 4} {
		seconds, err := sum(bytes)
		if err != nil {
			return m, nil, err
		}
		rows = append(rows, row{"sum", fmt.Sprint(bytes), m.sum(2, float64(bytes)), seconds})
	}
	for _, name := range steps {
		w, err := o.costsOf(ctx, name)
		if err != nil {
			return m, nil, err
		}
		seconds, err := o.measure(ctx, 2, request{Workload: name, Parts: 8, Threads: 1, Seconds: o.seconds}, n.words(2)...)
		if err != nil {
			return m, nil, err
		}
		rows = append(rows, row{"step of " + name + ", 8 parts", fmt.Sprintf("%.0f", w.gradients), w.seconds/2 + m.step(2, w), seconds})
	}
	return m, rows, nil
}

// costsOf are those of a workload in 8 parts on one rank of one thread.
func (o *options) costsOf(ctx context.Context, name string) (w costs, err error) {
	training, err := workloads[name]()
	if err != nil {
		return w, err
	}
	w.gradients = 4 * float64(training.Model.Weights.Count())
	embedded, err := training.Model.EmbedPixels([][]uint8{make([]uint8, training.Images.ImageSize().Len())})
	if err != nil {
		return w, err
	}
	w.embeddings = 4 * float64(training.Batch*training.Loss.Kind().Towers()*len(embedded[0]))
	w.seconds, err = o.measure(ctx, 0, request{Workload: name, Parts: 8, Threads: 1, Seconds: o.seconds})
	return w, err
}

// predict is a table and a plot of the efficiency at 25 Gbit/s.
func (o *options) predict(ctx context.Context, alpha float64) (string, error) {
	m := alphaBeta{alpha, 8 / 25e9}
	text := fmt.Sprintf("Predicted efficiency at 25 Gbit/s with the α of above (%.0f µs), if each node computes the work of one step above on one thread and the batch grows with the\nnodes; the whole loss, which every node computes, and waiting for the slowest node are not part of the model:\n\n| nodes |", 1e6*alpha)
	names := []string{"conv4", "resnet18"}
	all := map[string]costs{}
	for _, name := range names {
		w, err := o.costsOf(ctx, name)
		if err != nil {
			return "", err
		}
		all[name] = w
		text += fmt.Sprintf(" %s, %.0f ms and %.1f MB |", name, 1e3*w.seconds, w.gradients/1e6)
	}
	text += "\n|---|---|---|\n"
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = "Predicted efficiency at 25 Gbit/s", "nodes", "efficiency"
	p.Y.Min, p.Y.Max, p.X.Scale, p.X.Tick.Marker = 0, 1.02, plot.LogScale{}, plot.LogTicks{Prec: -1}
	lines := map[string]plotter.XYs{}
	for nodes := 2; nodes <= 1024; nodes *= 2 {
		line := fmt.Sprintf("| %d |", nodes)
		for _, name := range names {
			w := all[name]
			w.embeddings *= float64(nodes)
			efficiency := w.seconds / (w.seconds + m.step(nodes, w))
			lines[name] = append(lines[name], plotter.XY{X: float64(nodes), Y: efficiency})
			line += fmt.Sprintf(" %.3f |", efficiency)
		}
		if slices.Contains([]int{8, 64, 512}, nodes) {
			text += line + "\n"
		}
	}
	colors := []color.Color{color.RGBA{31, 119, 180, 255}, color.RGBA{255, 127, 14, 255}}
	for i, name := range names {
		line, err := plotter.NewLine(lines[name])
		if err != nil {
			return "", err
		}
		line.Color, line.Width = colors[i], vg.Points(2)
		p.Add(line)
		p.Legend.Add(name, line)
	}
	text += "\n![Predicted efficiency](scale-out-training.png)\n"
	return text, p.Save(6*vg.Inch, 3.5*vg.Inch, filepath.Join(o.out, "scale-out-training.png"))
}
