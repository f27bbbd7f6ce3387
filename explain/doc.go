// Package explain shows where two images match: it divides the cosine similarity that a model
// finds between two images over the places of its last feature map, as a heat map for each
// image.
//
// The last feature map is the last tensor of shape (batch, height, width, channels) of the
// network, such as 7 × 7 × 1280 for 224 × 224 pixels. Its places are its height · width
// positions, each of which depends mostly on a part of the image around its center. A pooling or
// flatten block makes a vector of it, which is the sum of the parts of all places, and layers
// that are linear in this vector make the embedding of that: x = Σ xₚ + b, where b comes from the
// biases of these layers. The cosine similarity of two images is then a sum over pairs of places
// and a rest,
//
//	x·y/(‖x‖‖y‖) = Σₚ Σ_q xₚ·y_q/(‖x‖‖y‖) + bias
//
// and the map of each image has, for each of its places, the sum over all places of the other
// image (Stylianou, Souvenir & Pless 2019, "Visualizing deep similarity networks", section 3, for
// global average pooling; Zhu, Yang & Chen 2021, "Visual explanation for deep metric learning",
// for other layers). The values of a map and the bias add up to the similarity. A value is
// negative where a place makes the images less similar.
//
// The parts of the places depend on what follows the last feature map:
//
//   - Global average pooling: the part of a place is its channels divided by the number of places.
//   - Generalized-mean pooling is not linear. Its result (mean of fᵖ)^(1/p) is divided, for each
//     channel, in proportion to the terms fᵖ of the places, which is exact in the sum.
//   - Flatten: a place has the features that come from it, so without linear layers it is compared
//     with the same place of the other image only, and both maps are equal.
//   - Linear layers, batch norm (as in evaluation), scale, and residual blocks of them are linear;
//     package adapt adds such layers. Normalize and layer norm divide by a number that depends on
//     the whole image; this number is taken as given, as the norms ‖x‖ and ‖y‖ are.
//
// Other models are refused with ErrUnsupported, which says why: those of heads other than the
// cosine, those with an activation after the last feature map, those whose last feature map has
// one place, and user-defined backbones.
//
// A map says which places the similarity is made of. It does not say which pixels caused it: a
// place of a deep network sees a large part of the image, in which its center counts most.
package explain
