// Command agreement is the check that PyTorch agrees: that a network trained
// here is the same network there.
//
//	go run ./benchmarks/peers/agreement -python python3
//
// A case is a backbone with a loss. Its weights are drawn at random, its inputs
// too; the model is saved as any model is, and beside it what the library makes
// of the inputs: embeddings in evaluation mode, and in training mode the cost,
// the gradients of all weights and the running statistics after the step. The
// peer, benchmarks/peers/agreement.py, builds the network in PyTorch from the
// saved file alone and compares. Each case is compared in float32 and, with the
// same weights, in float64, where rounding can hide nothing.
//
// The table goes to the standard output and, with the commit, the machine and
// the versions, to agreement.md in the folder of -out. The exit status is 1
// where the two disagree.
//
// It needs Python 3.11 with torch, numpy and safetensors.
package main
