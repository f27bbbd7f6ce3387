// Command agreement checks that PyTorch computes the same results as the library.
//
//	go run ./benchmarks/peers/agreement -python python3
//
// A case is a backbone with a loss, with random weights and inputs. The model is saved as
// usual, and next to it the results of the library: the embeddings in evaluation mode and,
// in training mode, the loss, the gradients of all weights and the running statistics after
// the step. The peer, benchmarks/peers/agreement.py, builds the network in PyTorch from the
// saved file alone and compares. Each case is compared in float32 and, with the same
// weights, in float64, where rounding errors cannot hide a mistake.
//
// The table is printed to the standard output and written, with the commit, the machine and
// the versions, to agreement.md in the folder of -out. The exit status is 1 if the two
// disagree.
//
// It needs Python 3.11 with torch, numpy and safetensors.
package main
