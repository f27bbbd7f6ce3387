package vector

import "golang.org/x/sys/cpu"

// sets returns the instruction sets of this processor, the fastest first.
func sets() []*Set {
	var all []*Set
	x := cpu.X86
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL {
		all = append(all, avx512)
	}
	if x.HasAVX2 && x.HasFMA {
		all = append(all, avx2)
	}
	return all
}
