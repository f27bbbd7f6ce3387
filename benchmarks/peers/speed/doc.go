// Command speed compares the speed of the library with that of other frameworks:
// PyTorch, ONNX Runtime, OpenVINO, and the operations of Gorgonia itself.
//
//	go run ./benchmarks/peers/speed -setup
//	go run ./benchmarks/peers/speed
//
// The first command creates a Python virtual environment outside the repository, which
// takes about 6 GB. The second one measures. It needs Linux and an otherwise idle
// machine, and reports how idle the machine was.
//
// Each framework, called a peer, is a process that lives as long as the measurement and
// runs the workloads of benchmarks/workload on request. All peers take turns: in each
// round each peer has one turn, in an order that rotates, while the others wait for a
// request with their threads asleep. A turn is one warm-up step and several timed steps,
// and the median of the timed steps counts. Anything that slows the machine down for a
// while therefore slows down all peers, and ratios are computed within one round.
//
// Before anything is timed, the peers that train must compute the same losses as the
// library, and the peers that embed the same embeddings, from the same weights and inputs.
//
// A workload has the same time in all tables: the step of the trainer is measured in the
// same rounds as the bare step and all peers, and the table of batch sizes takes over the
// time of the workload itself.
//
// The flag -int8 measures embedding in integers of 8 bits, of models with random weights, beside the
// peers in int8, bfloat16 and float32, and writes speed-int8.md. -workloads and -peers select among
// these.
//
// The command writes speed.json to benchmarks/results and, from it, speed.md and scale.png
// there and docs/speed.png. The flag -table writes these again without measuring. With
// -workloads or -peers nothing is written unless -out names a folder.
package main
