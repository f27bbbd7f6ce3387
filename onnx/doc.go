// Package onnx writes a trained model in the Open Neural Network Exchange (ONNX)
// format, for ONNX Runtime and other programs: https://onnx.ai/onnx/repo-docs/IR.html.
//
// The types are:
//
//   - Model, the content of one file. Network returns that of the embedding network,
//     Head that of the distance; WriteFile writes it.
//   - Value, an input or an output of a Model.
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
package onnx
