// Command speed measures the library beside other frameworks: PyTorch, ONNX
// Runtime and Gorgonia's own operations.
//
//	go run ./benchmarks/peers/speed -setup
//	go run ./benchmarks/peers/speed
//
// The first makes a virtual environment of Python outside the repository, which
// takes about 6 GB; the second measures, on Linux and on a machine that does
// nothing else. It says how idle the machine was.
//
// Each peer is a process that lives as long as the measurement and does the
// workloads of benchmarks/workload when it is asked to. All take turns: in each round
// each has one, in an order that rotates, while the others wait for a request
// and their threads sleep. A turn is one step to warm up and a few that are
// timed, and counts by its median. So whatever slows the machine down for a
// while slows all peers, and ratios are those of one round.
//
// Before anything is timed, peers that train must find the library's losses, and
// peers that embed its embeddings: they begin with the same weights and inputs.
//
// A work has one time wherever it stands: the trainer's step takes turns with the
// bare one and all peers, and the work itself is not measured again for the table of
// batch sizes.
//
// It writes speed.json to benchmarks/results and, from that, speed.md and scale.png
// there and docs/speed.png, which -table writes again. With -workloads or -peers it writes
// nothing, unless -out names a folder.
package main
