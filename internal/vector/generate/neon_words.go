package main

import "fmt"

// What follows are instructions that Go's assembler (1.26) does not know, as
// words, with Arm's name for each in a comment. There the destination is first.

// fmaLane adds x·(lane i of y) to sum.
func (t *text) fmaLane(sum, x, y vector, i int) {
	word := 0x4f801000 | uint32(i&1)<<21 | uint32(y)<<16 | uint32(i>>1)<<11 | uint32(x)<<5 | uint32(sum)
	t.word(word, "FMLA V%d.4S, V%d.4S, V%d.S[%d]", sum, x, y, i)
}

func (t *text) word(word uint32, format string, arguments ...any) {
	t.line("\tWORD\t$0x%08x // "+format, append([]any{word}, arguments...)...)
}

// instruction is a vector instruction of one or two operands.
type instruction struct {
	name             string
	lanes, fromLanes string
	word             uint32
}

var (
	add          = instruction{"FADD", "4S", "4S", 0x4e20d400}
	subtract     = instruction{"FSUB", "4S", "4S", 0x4ea0d400}
	multiply     = instruction{"FMUL", "4S", "4S", 0x6e20dc00}
	maximum      = instruction{"FMAX", "4S", "4S", 0x4e20f400} // NaN if either is
	addPairs     = instruction{"FADDP", "4S", "4S", 0x6e20d400}
	atLeast      = instruction{"FCMGE", "4S", "4S", 0x6e20e400} // false if either is NaN, like all comparisons
	equal        = instruction{"FCMEQ", "4S", "4S", 0x4e20e400}
	negate       = instruction{"FNEG", "4S", "4S", 0x6ea0f800}  // unary
	atMostZero   = instruction{"FCMLE", "4S", "4S", 0x6ea0d800} // unary
	add64        = instruction{"FADD", "2D", "2D", 0x4e60d400}
	subtract64   = instruction{"FSUB", "2D", "2D", 0x4ee0d400}
	difference64 = instruction{"FABD", "2D", "2D", 0x6ee0d400} // |x − y|
	addPairs64   = instruction{"FADDP", "2D", "2D", 0x6e60d400}
	lower64      = instruction{"FCVTL", "2D", "2S", 0x0e617800} // the lower half, unary
	upper64      = instruction{"FCVTL2", "2D", "4S", 0x4e617800}
	andNot       = instruction{"BIC", "16B", "16B", 0x4e601c00}
	narrow16     = instruction{"XTN", "4H", "4S", 0x0e612800} // unary
	narrow8      = instruction{"XTN", "8B", "8H", 0x0e212800} // unary
)

// vectors writes to = instruction(x, y).
func (t *text) vectors(i instruction, x, y, to vector) {
	t.word(i.word|uint32(y)<<16|uint32(x)<<5|uint32(to),
		"%s V%d.%s, V%d.%s, V%d.%s", i.name, to, i.lanes, x, i.fromLanes, y, i.fromLanes)
}

// unary writes to = instruction(x).
func (t *text) unary(i instruction, x, to vector) {
	zero := ""
	if i == atMostZero {
		zero = ", #0.0"
	}
	t.word(i.word|uint32(x)<<5|uint32(to),
		"%s V%d.%s, V%d.%s", i.name, to, i.lanes, x, fmt.Sprint(i.fromLanes, zero))
}
