// Command imports compares networks that package onnx reads from ONNX files with ONNX
// Runtime: torchvision's networks for photographs and EfficientNet-Lite0 of the Python package
// efficientnet-lite-pytorch, with random weights and running statistics, as both of
// PyTorch's exporters write them, with the classifier and with an identity in its place.
//
//	go run ./benchmarks/peers/imports -python PYTHON
//
// The interpreter needs torch, torchvision, efficientnet-lite-pytorch, onnx, onnxscript,
// onnxruntime and safetensors. The result is benchmarks/results/imports.md. The exit status
// is 1 if an embedding is out of tolerance.
package main
