package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/imaging"
)

// Several networks are judged together, and the first of them alone in a note.
func TestDigitsOfSeveral(t *testing.T) {
	d := fewShades()
	r := bestDigits(10)
	r.network = func(size imaging.Size) backbone.Network { return backbone.Conv7(size, 4) }
	r.classes, r.images, r.networks = 4, 2, 2
	var notes strings.Builder
	s := settings{seed: 5, note: func(format string, arguments ...any) { fmt.Fprintf(&notes, format+"\n", arguments...) }}
	rows, err := r.digits(context.Background(), s, Row{Protocol: "shades", Validation: true}, d, d)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].Views != 1 || rows[0].Figure < 50 || !(rows[0].Minutes > 0) {
		t.Errorf("found %+v, expected a row well above chance", rows)
	}
	if !strings.Contains(notes.String(), "by the first 1 of the networks") || strings.Contains(notes.String(), "the first 2") {
		t.Errorf("found the notes %s", notes.String())
	}
}

// Digits are recognised by one look at each, and by seven: turned or mirrored they
// are others.
func TestDigitsByViews(t *testing.T) {
	d := fewShades()
	r := bestDigits(10)
	r.network = func(size imaging.Size) backbone.Network { return backbone.Conv7(size, 4) }
	r.classes, r.images = 4, 2
	rows, err := r.digits(context.Background(), settings{seed: 5, note: t.Logf}, Row{Protocol: "shades"}, d, d)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Views != 1 || rows[1].Views != 7 || rows[1].Figure < 50 {
		t.Errorf("found %+v, expected a row of one view and one of seven", rows)
	}
}

// Views have a mean by cosine alone: by other distances digits get one look.
func TestDigitsByOtherDistances(t *testing.T) {
	d := fewShades()
	r := hoffer(10)
	r.network = func(size imaging.Size) backbone.Network { return backbone.Conv7(size, 4) }
	r.classes, r.images = 4, 2
	rows, err := r.digits(context.Background(), settings{seed: 5, note: t.Logf}, Row{Protocol: "shades"}, d, d)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].Views != 1 || rows[0].Figure < 50 {
		t.Errorf("found %+v, expected a row of one view", rows)
	}
}
