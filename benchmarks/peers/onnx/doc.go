// Command onnx is the check that ONNX Runtime and PyTorch's users find the same:
// that a network written by package onnx is the same network there, and one
// read by package pytorch the same network here.
//
//	go run ./benchmarks/peers/onnx -python python3
//
// Each backbone is given weights at which nothing is hidden, is saved as
// model.safetensors and written as ONNX; ONNX Runtime embeds batches of 1 and of
// 7 images, and onnx.checker judges the file where the package onnx is there.
// What the package safetensors of Python reads in model.safetensors must be bit
// for bit what the ONNX file holds. Each head is written too and compares pairs.
// In the other direction PyTorch trains networks for some steps and saves them;
// they are imported and embed the same images.
//
// Numbers must agree to 1e-4, relative to the value, or absolute where that is
// below 1. The tables go to the standard output and, with the commit, the machine
// and the versions, to onnx.md in the folder of -out. The exit status is 1 where
// anything disagrees.
//
// The peer is benchmarks/peers/onnx_runtime.py. It needs Python 3.11 with torch,
// numpy, onnxruntime and safetensors.
package main
