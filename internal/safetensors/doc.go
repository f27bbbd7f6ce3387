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
// A [File] is its [Tensor]s and its metadata. One File is always the same
// bytes ([Write]), and they are the bytes that the reference implementation
// writes for those tensors.
//
// # Security considerations
//
// A file may come from anywhere, so [Read] believes nothing: it checks the
// header against the format and against the file's size before it allocates
// room for any tensor, and it refuses what the format forbids: overlapping
// tensors, bytes that belong to none, names used twice. What breaks the format
// is an [ErrMalformed].
package safetensors
