// Command backbones compares the networks for photographs with their reference
// definitions: torchvision's, and for EfficientNet-Lite0 that of the Python package
// efficientnet-lite-pytorch. The weights, the running statistics and the images are
// random. It compares embeddings, gradients and running statistics, with batch norm by its
// running statistics and by those of the batch, with the reference in float64.
//
//	go run ./benchmarks/peers/backbones -python PYTHON
//
// The interpreter needs torch, torchvision, efficientnet-lite-pytorch and safetensors. The
// result is benchmarks/results/backbones-agreement.md. The exit status is 1 if a value is
// out of tolerance.
package main
