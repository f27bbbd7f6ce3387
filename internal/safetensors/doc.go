// Package safetensors reads and writes named tensors in the format of
// https://github.com/huggingface/safetensors:
//
//	8 bytes   n, the header's length, an unsigned little-endian integer
//	n bytes   the header, a JSON object; it may end in spaces
//	the rest  the tensors' elements, little-endian, row-major
//
// The header maps each tensor's name to its dtype, its shape and its
// data_offsets [begin, end) counted from the end of the header, and may map
// "__metadata__" to an object of strings.
//
// A [File] has [Tensor]s and metadata. [Write] writes one File always as the same bytes,
// those that the reference implementation writes for the same tensors.
//
// # Security considerations
//
// A file may come from an untrusted source, so [Read] validates the header against the
// format and the size of the file before it allocates memory for a tensor. Overlapping
// tensors, bytes outside of all tensors and duplicate names are errors. Violations of
// the format are [ErrMalformed].
package safetensors
