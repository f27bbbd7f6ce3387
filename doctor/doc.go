// Package doctor examines whether likeness works on this machine as it does where
// its tests ran: a processor, an operating system or a disk may differ from all
// that they saw.
//
// Examine makes the checks of a few seconds, on generated data, and returns a
// Finding for each: the instructions of this processor against portable code,
// whole layers in float32 against float64, gradients against finite differences,
// one seed on one thread and on all, the published error of the modified Hausdorff
// distance where Omniglot is at hand, the models of the zoo and any model files.
package doctor
