// Package doctor checks whether likeness computes correct results on this machine,
// whose processor, operating system or storage may differ from those on which its tests
// ran.
//
// [Run] performs the checks, which take a few seconds, and reports a [Finding] for each:
// the vector instructions of this processor against portable code, its products of bfloat16
// numbers if it has them, layers in float32 against float64, gradients against finite differences, one random seed on different
// numbers of threads, the published error of the modified Hausdorff distance if Omniglot's
// files are given, the embedded models, and any model files.
package doctor
