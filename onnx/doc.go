// Package onnx writes a trained model in the Open Neural Network Exchange (ONNX)
// format, for ONNX Runtime and other programs, and reads convolutional networks in that
// format: https://onnx.ai/onnx/repo-docs/IR.html.
//
// The types are:
//
//   - Model, the content of one file. Network returns that of the embedding network,
//     Head that of the distance; WriteFile writes it.
//   - Value, an input or an output of a Model.
//   - Imported, a network that Import or Read read from a file, with ImportOptions.
//
// # Export
//
// The network's file takes images (batch, channels, height, width), float32 from
// 0 to 255, and returns embeddings (batch, features): the same features in the
// same order as likeness.Model.Embed, for any batch size. Of the preprocessing,
// inversion and normalization are part of the graph. Decoding, resizing, conversion to
// grayscale and cropping to the ink are not: the documentation of the input and the
// metadata describe them.
//
// The head's file takes two batches of embeddings and returns their distances and, where
// the model was trained with a cross-entropy, the probability that they are of one class.
// It is made from the form of the distance (heads.Form).
//
//	import numpy, onnxruntime
//	network = onnxruntime.InferenceSession("network.onnx")
//	head = onnxruntime.InferenceSession("head.onnx")
//	[x] = network.run(None, {"images": a.astype(numpy.float32)})
//	[y] = network.run(None, {"images": b.astype(numpy.float32)})
//	distance = head.run(["distance"], {"left": x, "right": y})
//
// Files are of operator set 18 and format version 8, which ONNX Runtime reads since 1.14.
// Every backbone that is a list of blocks of package graph can be written, and every head
// whose distance has a form; other backbones cannot.
//
// Metadata, strings by key:
//
//	likeness.input          the format of the images
//	likeness.crop           how they must be cropped before, if the model crops
//	likeness.preprocessing  imaging.Preprocessing as JSON
//	likeness.head           the head's name
//	likeness.threshold      the largest distance at which two images count as the same; missing where not calibrated
//
// # Import
//
// Import makes a model, the blocks and their weights, of a file that PyTorch or another
// program wrote, for embeddings and for fine-tuning:
//
//	imported, err := onnx.Import("resnet18.onnx", onnx.ImportOptions{Cut: "/Flatten_output_0"})
//
// The network must be one that the blocks of package graph can express: a sequence with
// residual blocks, whose branches begin at one tensor and are added, and with
// squeeze-and-excite. Its only input are images (batch, channels, height, width), of one or
// three channels, or (batch, height, width, channels) if a Transpose follows; its output are
// vectors. The values are what Preprocessing makes of pixels. Operator sets from 7 on are
// read, and these operators:
//
//	Conv                                 with groups, square kernels and strides, any padding, no dilations
//	BatchNormalization                   in evaluation mode; part of the convolution directly before it
//	Gemm, MatMul                         fully connected, or 1×1 convolutions of channels-last images
//	Relu, Clip, PRelu, LeakyRelu,        Clip with the limits 0 and 6, or 0 alone; HardSigmoid with
//	Sigmoid, Tanh, HardSigmoid,          alpha 1/6; Gelu in its exact form. Also SiLU, hard-swish,
//	HardSwish, Gelu                      hard-sigmoid and GELU that are composed of other operators
//	MaxPool, AveragePool,                square; an average pool without padding; ReduceMean over
//	GlobalAveragePool, ReduceMean        height and width
//	Add, Sub, Mul, Div                   of two branches as described; or with a constant for each channel
//	LayerNormalization                   of the channels, also composed of other operators
//	LpNormalization, or Div by ReduceL2  of vectors
//	Pow                                  as part of GeM pooling
//	Pad                                  with zeros, before a convolution
//	Flatten, Reshape, Squeeze,           where they make vectors of images, or change the order of the
//	Unsqueeze, Transpose                 axes for the operators above
//	Identity, Dropout, Cast              no effect
//
// Shapes and weights that are computed from constants and shapes are computed while the file
// is read. Padding that differs by side is SamePadding where it is TensorFlow's; else the
// kernel gets rows and columns of zeros. A LeakyRelu becomes a PReLU, whose slopes are
// trainable. Anything else, also an unknown attribute, is an error that names the node. Weights
// are float, double or float16, and must be in the file.
//
// A file of Network is read with the preprocessing, the head and the threshold of its metadata,
// and gives the model that was written, except for a head with weights, which are in the head's
// file.
package onnx
