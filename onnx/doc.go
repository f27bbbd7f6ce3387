// Package onnx writes a trained model in the Open Neural Network Exchange
// format, for ONNX Runtime and whatever else reads it:
// https://onnx.ai/onnx/repo-docs/IR.html.
//
// Its nouns:
//
//   - A Model is what one file holds. Network makes that of the embedding
//     network, Head that of the distance; WriteFile writes it.
//   - A Value is an input or an output of a Model.
//
// The network's file takes images (batch, channels, height, width), float32 from
// 0 to 255, and gives embeddings (batch, features): the same features in the
// same order as likeness.Model.Embed, for any batch. What Preprocessing does to
// prepared pixels, inversion and normalisation, is in the graph. What it does
// before is not: to decode, to bring to the size, to make greys of colours and
// to cut to the ink. The file says what is left to do, in the input's
// documentation and in the metadata.
//
// The head's file takes two batches of embeddings and gives their distances
// and, where the model was trained with a cross-entropy, the probability of one
// class.
//
//	import numpy, onnxruntime
//	network = onnxruntime.InferenceSession("network.onnx")
//	head = onnxruntime.InferenceSession("head.onnx")
//	[x] = network.run(None, {"images": a.astype(numpy.float32)})
//	[y] = network.run(None, {"images": b.astype(numpy.float32)})
//	distance = head.run(["distance"], {"left": x, "right": y})
//
// Files are of operator set 18 and format version 8, which ONNX Runtime reads
// since 1.14. Every backbone that is a list of blocks of package graph can be
// written; one of a Go type of its author's own cannot.
//
// Metadata, strings by key:
//
//	likeness.input          what the images must be
//	likeness.crop           how they must be cut before, if the model cuts
//	likeness.preprocessing  imaging.Preprocessing as JSON
//	likeness.head           the head's name
//	likeness.threshold      up to which distance two images count as the same; missing where not calibrated
package onnx
