package main

import (
	"bytes"
	"strings"
	"testing"
)

// forging would be a line of its own in the output, and turn the text after it around.
const forging = "a\nlikeness: all is well \u202egnp.b\xff"

const forgingEscaped = `a\nlikeness: all is well \u202egnp.b\xff`

// Whatever a name holds, what is said of it is one line.
func TestLinesAreNotForged(t *testing.T) {
	var out, said bytes.Buffer
	c := &console{out: &out, err: &said}
	c.print("first %s", forging)
	c.say("second %s", forging)
	if want := "first " + forgingEscaped + "\n"; out.String() != want {
		t.Errorf("print: found %q, want %q", out.String(), want)
	}
	if want := "second " + forgingEscaped + "\n"; said.String() != want {
		t.Errorf("say: found %q, want %q", said.String(), want)
	}
	inFolder(t)
	for code, args := range map[int][]string{
		failure: {"compare", "a\nlikeness: all is well", "b.png", "--model", "koch"},
		misuse:  {"compare", "a.png", "b.png", "--mo\ndel"},
	} {
		found, _, stderr := runTool(args...)
		if found != code || strings.Count(stderr, "\n") != 1 {
			t.Errorf("exit code %d, want %d and one line in\n%s", found, code, stderr)
		}
	}
}
