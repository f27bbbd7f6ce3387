// Command onnx checks that ONNX Runtime computes the same results with the files of package
// onnx, and the library with the weights that package pytorch imports from PyTorch.
//
//	go run ./benchmarks/peers/onnx -python python3
//
// Each backbone, with weights at which no layer is without effect, is saved as
// model.safetensors and exported to ONNX. ONNX Runtime embeds batches of 1 and of 7 images,
// and onnx.checker validates the file if the Python package onnx is installed. The weights
// that the Python package safetensors reads from model.safetensors must be bitwise equal to
// those in the ONNX file. Each head is exported too and compares pairs. In the other
// direction, PyTorch trains networks for a few steps and saves them; they are imported and
// embed the same images.
//
// Numbers must agree to 1e-4, relative to the value, or absolute where that is below 1. The
// tables are printed to the standard output and written, with the commit, the machine and
// the versions, to onnx.md in the folder of -out. The exit status is 1 if anything disagrees.
//
// The peer is benchmarks/peers/onnx_runtime.py. It needs Python 3.11 with torch, numpy,
// onnxruntime and safetensors.
package main
