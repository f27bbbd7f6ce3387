// Package quantize makes a model in integers of 8 bits from one in float32, with images of a
// folder, and measures both on other images of the folder.
//
// Folder calibrates the activations on a random sample of the images and embeds others with both
// models. If the folder has one folder of images for each class, the measures are retrieval and
// verification, and otherwise how similar the two embeddings of an image are.
//
// likeness.Model.Quantize is the same without a folder, and package quantized has the network in
// integers.
package quantize
