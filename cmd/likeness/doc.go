// Command likeness trains siamese and triplet networks for image similarity, and uses
// them.
//
//	likeness train                       # train on handwritten characters and measure the network
//	likeness train --data photos         # on a folder with one folder of images per class
//	likeness sweep --over margin=0.1..2 --out sweeps/a    # search for settings
//	likeness eval --run runs/…           # measure a run again
//	likeness embed photos --out e.npy    # embeddings of images
//	likeness compare a.png b.png         # distance between two images
//	likeness near-duplicates scans       # near-duplicate images
//	likeness search a.png --in scans     # the most similar images of a folder
//	likeness enroll alice a.jpg --gallery faces.gallery    # a class from an example image
//	likeness identify b.jpg --gallery faces.gallery        # the nearest class, or unknown
//	likeness adapt --data photos --out a.safetensors       # a model for these classes, without training its network
//	likeness audit --data photos         # label errors and outliers
//	likeness quantize photo --data photos --out q.safetensors    # a smaller and faster model
//	likeness serve --gallery faces.gallery                 # HTTP API and web UI
//	likeness export --onnx network.onnx  # export for ONNX Runtime
//	likeness import w.pth …              # import PyTorch weights
//	likeness import network.onnx …       # import a network in ONNX format
//	likeness fetch omniglot              # download a published data set
//	likeness fetch resnet18              # download pretrained weights
//	likeness doctor                      # check the installation
//	likeness bench                       # measure the speed of this machine
//
// The command parses flags, calls the library and prints. Package run trains and
// evaluates, package gallery enrolls and identifies, package retrieval searches.
package main
