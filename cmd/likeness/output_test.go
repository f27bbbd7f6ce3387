package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/trainer"
)

// Without a terminal, a long job prints a line for each tenth that is done, but the last,
// and a short one has none.
func TestCounter(t *testing.T) {
	for _, test := range []struct {
		name  string
		unit  unit
		quiet time.Duration
		want  []string
	}{
		{"a long job", unit{what: "images"}, 0, []string{"10 of 100 images", "33 of 100 images", "96 of 100 images"}},
		{"bytes", unit{what: "a.gz", bytes: true}, 0, []string{"a.gz: 1.0 of 10.0 MB", "a.gz: 3.3 of 10.0 MB", "a.gz: 9.6 of 10.0 MB"}},
		{"a short job", unit{what: "images"}, time.Hour, nil},
	} {
		var said strings.Builder
		c := newCounter(&said, test.unit)
		c.quiet = test.quiet
		each := int64(1)
		if test.unit.bytes {
			each = 1e5
		}
		for _, done := range []int64{0, 9, 10, 11, 33, 96, 97, 100} {
			c.show(done*each, 100*each)
		}
		c.close()
		want := strings.Join(append(test.want, ""), "\n")
		if diff := cmp.Diff(want, said.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// Each part of a job is counted from the beginning.
func TestCounterOfParts(t *testing.T) {
	var said strings.Builder
	c := newCounter(&said, unit{what: filesRead})
	c.quiet = 0
	for _, total := range []int{2, 4} {
		for done := range total {
			c.part(done+1, total)
		}
	}
	want := "1 of 2 image files read\n1 of 4 image files read\n2 of 4 image files read\n3 of 4 image files read\n"
	if diff := cmp.Diff(want, said.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The lines of the steps say that their loss is a running mean, which begins as the mean.
func TestStepsShowARunningMean(t *testing.T) {
	var said strings.Builder
	p := newProgress(&said)
	p.begin()
	for i, loss := range []float64{4, 2, 3, 1} {
		p.step(trainer.Step{Number: i + 1, Steps: 4, Loss: loss, Images: 8})
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	for i, mean := range []string{"4.0000", "3.0000", "3.0000", "2.5000"} {
		if i >= len(lines) || !strings.Contains(lines[i], ": running mean of the loss "+mean+", ") {
			t.Fatalf("found the lines %q, expected the mean %s in line %d", lines, mean, i+1)
		}
	}
}

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

// Arguments arrive byte by byte, in every form that they may have.
func TestArgumentsAreBytes(t *testing.T) {
	const odd = "caf\xe9\n\u2028.png"
	for _, args := range [][]string{
		{odd, "--text", odd, "--list", odd, "more", odd},
		{odd, "--text=" + odd, "--list=" + odd, "more", odd},
		{"-t" + odd, "--list=" + odd, "--", odd, "more", odd},
	} {
		var c struct {
			First string   `arg:""`
			Rest  []string `arg:""`
			Text  string   `short:"t"`
			List  []string
		}
		parser, err := kong.New(&c, textMappers()...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(args); err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		if c.First != odd || c.Text != odd || !slices.Equal(c.List, []string{odd}) || !slices.Equal(c.Rest, []string{"more", odd}) {
			t.Errorf("%q: found %+q", args, c)
		}
	}
}

// Lists are cut as Kong cuts them.
func TestListsAreCut(t *testing.T) {
	for _, list := range []string{"a", "a,b", `a\,b,c`, `a\b`, `a\\,b`, `a\`, "a,,b", ",a", "a,", `,\,`} {
		if found, want := splitList(list, ','), kong.SplitEscaped(list, ','); !slices.Equal(found, want) {
			t.Errorf("%s: found %q, want %q", list, found, want)
		}
	}
	if found := splitList("\xff,\xfe", ','); !slices.Equal(found, []string{"\xff", "\xfe"}) {
		t.Errorf("found %q", found)
	}
	if found := splitList(`a,\b`, -1); !slices.Equal(found, []string{`a,\b`}) {
		t.Errorf("without a separator: found %q", found)
	}
}

// An empty argument is none that was left out.
func TestEmptyArguments(t *testing.T) {
	inFolder(t)
	for name, args := range map[string][]string{
		"--model":   {"compare", "a.png", "b.png", "--model", ""},
		"--gallery": {"identify", "a.png", "--gallery="},
		"<class>":   {"enroll", "", "a.png", "--gallery", "g"},
		"<images>":  {"identify", "a.png", "", "--gallery", "g"},
		"--folder":  {"enroll", "--folder", "", "--gallery", "g"},
		"--data":    {"train", "--data", ""},
		"--unseen":  {"train", "--unseen", ""},
	} {
		toolFails(t, misuse, []string{name, "found an empty value"}, args...)
	}
}
