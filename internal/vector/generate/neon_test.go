package main

import "testing"

// The expected words were written by LLVM's assembler.
func TestWords(t *testing.T) {
	for _, test := range []struct {
		write func(*text)
		want  string
	}{
		{func(t *text) { t.fmaLane(3, 17, 29, 3) }, "0x4fbd1a23 // FMLA V3.4S, V17.4S, V29.S[3]"},
		{func(t *text) { t.fmaLane(3, 17, 13, 2) }, "0x4f8d1a23 // FMLA V3.4S, V17.4S, V13.S[2]"},
		{func(t *text) { t.fmaLane(3, 17, 13, 1) }, "0x4fad1223 // FMLA V3.4S, V17.4S, V13.S[1]"},
		{func(t *text) { t.fmaLane(3, 17, 13, 0) }, "0x4f8d1223 // FMLA V3.4S, V17.4S, V13.S[0]"},
		{func(t *text) { t.fmaLane64(3, 17, 29, 1) }, "0x4fdd1a23 // FMLA V3.2D, V17.2D, V29.D[1]"},
		{func(t *text) { t.fmaLane64(3, 17, 13, 0) }, "0x4fcd1223 // FMLA V3.2D, V17.2D, V13.D[0]"},
		{func(t *text) { t.vectors(add, 17, 29, 3) }, "0x4e3dd623 // FADD V3.4S, V17.4S, V29.4S"},
		{func(t *text) { t.vectors(subtract, 17, 29, 3) }, "0x4ebdd623 // FSUB V3.4S, V17.4S, V29.4S"},
		{func(t *text) { t.vectors(multiply, 17, 29, 3) }, "0x6e3dde23 // FMUL V3.4S, V17.4S, V29.4S"},
		{func(t *text) { t.vectors(divide, 17, 29, 3) }, "0x6e3dfe23 // FDIV V3.4S, V17.4S, V29.4S"},
		{func(t *text) { t.vectors(minimum, 17, 29, 3) }, "0x4ebdf623 // FMIN V3.4S, V17.4S, V29.4S"},
		{func(t *text) { t.unary(absolute, 17, 3) }, "0x4ea0fa23 // FABS V3.4S, V17.4S"},
		{func(t *text) { t.unary(signs, 17, 3) }, "0x4f210623 // SSHR V3.4S, V17.4S, #31"},
		{func(t *text) { t.vectors(maximum, 17, 29, 3) }, "0x4e3df623 // FMAX V3.4S, V17.4S, V29.4S"},
		{func(t *text) { t.vectors(addPairs, 17, 29, 3) }, "0x6e3dd623 // FADDP V3.4S, V17.4S, V29.4S"},
		{func(t *text) { t.vectors(atLeast, 17, 29, 3) }, "0x6e3de623 // FCMGE V3.4S, V17.4S, V29.4S"},
		{func(t *text) { t.vectors(equal, 17, 29, 3) }, "0x4e3de623 // FCMEQ V3.4S, V17.4S, V29.4S"},
		{func(t *text) { t.unary(atMostZero, 17, 3) }, "0x6ea0da23 // FCMLE V3.4S, V17.4S, #0.0"},
		{func(t *text) { t.unary(negate, 17, 3) }, "0x6ea0fa23 // FNEG V3.4S, V17.4S"},
		{func(t *text) { t.vectors(add64, 17, 29, 3) }, "0x4e7dd623 // FADD V3.2D, V17.2D, V29.2D"},
		{func(t *text) { t.vectors(subtract64, 17, 29, 3) }, "0x4efdd623 // FSUB V3.2D, V17.2D, V29.2D"},
		{func(t *text) { t.vectors(difference64, 17, 29, 3) }, "0x6efdd623 // FABD V3.2D, V17.2D, V29.2D"},
		{func(t *text) { t.vectors(addPairs64, 17, 29, 3) }, "0x6e7dd623 // FADDP V3.2D, V17.2D, V29.2D"},
		{func(t *text) { t.unary(lower64, 17, 3) }, "0x0e617a23 // FCVTL V3.2D, V17.2S"},
		{func(t *text) { t.unary(upper64, 17, 3) }, "0x4e617a23 // FCVTL2 V3.2D, V17.4S"},
		{func(t *text) { t.vectors(andNot, 17, 29, 3) }, "0x4e7d1e23 // BIC V3.16B, V17.16B, V29.16B"},
		{func(t *text) { t.unary(narrow16, 17, 3) }, "0x0e612a23 // XTN V3.4H, V17.4S"},
		{func(t *text) { t.vectors(and, 17, 29, 3) }, "0x4e3d1e23 // AND V3.16B, V17.16B, V29.16B"},
		{func(t *text) { t.vectors(add32, 17, 29, 3) }, "0x4ebd8623 // ADD V3.4S, V17.4S, V29.4S"},
		{func(t *text) { t.vectors(addPairs32, 17, 29, 3) }, "0x4ebdbe23 // ADDP V3.4S, V17.4S, V29.4S"},
		{func(t *text) { t.vectors(atLeast32, 17, 29, 3) }, "0x4ebd3e23 // CMGE V3.4S, V17.4S, V29.4S"},
		{func(t *text) { t.vectors(multiply16, 17, 29, 3) }, "0x4e7d9e23 // MUL V3.8H, V17.8H, V29.8H"},
		{func(t *text) { t.unary(addPairs16, 17, 3) }, "0x6e606a23 // UADALP V3.4S, V17.8H"},
		{func(t *text) { t.unary(addSignedPairs16, 17, 3) }, "0x4e606a23 // SADALP V3.4S, V17.8H"},
		{func(t *text) { t.vectors(difference8, 17, 29, 3) }, "0x6e3d7623 // UABD V3.16B, V17.16B, V29.16B"},
		{func(t *text) { t.unary(sumPairs8, 17, 3) }, "0x6e202a23 // UADDLP V3.8H, V17.16B"},
		{func(t *text) { t.unary(shiftLeft4, 17, 3) }, "0x4f245623 // SHL V3.4S, V17.4S, #4"},
		{func(t *text) { t.unary(shiftLeft8, 17, 3) }, "0x4f185623 // SHL V3.8H, V17.8H, #8"},
		{func(t *text) { t.unary(shiftRight8, 17, 3) }, "0x6f180623 // USHR V3.8H, V17.8H, #8"},
		{func(t *text) { t.unary(shiftRightSigned8, 17, 3) }, "0x4f180623 // SSHR V3.8H, V17.8H, #8"},
		{func(t *text) { t.unary(narrow8, 17, 3) }, "0x0e212a23 // XTN V3.8B, V17.8H"},
	} {
		written := &text{}
		test.write(written)
		if want := "\tWORD\t$" + test.want + "\n"; written.String() != want {
			t.Errorf("found %q, expected %q", written.String(), want)
		}
	}
}
