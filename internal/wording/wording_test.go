package wording_test

import (
	"testing"
	"unicode/utf8"

	"github.com/likeness-go/likeness/internal/wording"
)

func TestNearest(t *testing.T) {
	known := []string{"contrastive", "triplet", "triplet-ratio", "l1", "l2"}
	tests := map[string]string{
		"contrastiv":   "contrastive", // one letter lost
		"tripletratio": "triplet-ratio",
		"Triplet":      "triplet",
		"l3":           "l1", // equally far from l2, which comes later
		"gallery":      "",   // nothing within three edits
	}
	for found, want := range tests {
		if got := wording.Nearest(found, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", found, got, want)
		}
	}
}

// What other programs call a name comes before the spelling, whatever the hyphens, but
// only among the known names.
func TestMeant(t *testing.T) {
	flags := []string{"learning-rate", "objective", "backbone", "epochs", "l2"}
	for found, want := range map[string]string{
		"lr": "learning-rate", "base_lr": "learning-rate", "Learning_Rate": "learning-rate", "loss": "objective", "model-name": "backbone",
		"epoch": "epochs", "num_epochs": "epochs", "euclidean": "l2", "batch-size": "", "backbones": "backbone",
	} {
		if got := wording.Meant(found, flags); got != want {
			t.Errorf("Meant(%q) = %q, want %q", found, got, want)
		}
	}
	if got := wording.Meant("model-name", []string{"model", "out"}); got != "model" {
		t.Errorf("found %q, want model", got)
	}
}

func TestUnknown(t *testing.T) {
	got := wording.Unknown("head", "l9", []string{"l2", "cosine"}).Error()
	if want := `unknown head "l9": did you mean "l2"? There are l2, cosine`; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "",
		"photos/a b.png":          "photos/a b.png",
		`back\slash "quoted" 'x'`: `back\slash "quoted" 'x'`,
		"Ångström 日本 שלום 👩\u200d👧": "Ångström 日本 שלום 👩\u200d👧",
		"a\nb\r\tc":                           `a\nb\r\tc`,
		"\x00\x1b[2J\x7f":                     `\x00\x1b[2J\x7f`,
		"\u0085\u009b":                        `\u0085\u009b`,
		"a\u2028b\u2029":                      `a\u2028b\u2029`,
		"\u202egnp.exe\u202c":                 `\u202egnp.exe\u202c`,
		"\u061c\u200e\u200f\u2066\u2069":      `\u061c\u200e\u200f\u2066\u2069`,
		"caf\xe9.png":                         `caf\xe9.png`,
		"\xed\xa0\x80":                        `\xed\xa0\x80`, // a surrogate is no UTF-8
		"\ufffd":                              "\ufffd",       // which is a character of its own
		"\xff\ufffd" + "日" + "\xe6\x97" + "x": `\xff` + "\ufffd日" + `\xe6\x97x`,
	} {
		if found := wording.Printable(text); found != want {
			t.Errorf("%q: found %s, want %s", text, found, want)
		}
	}
}

// What is printed is UTF-8 of one line, whatever the text.
func FuzzString(f *testing.F) {
	f.Add("a\n\xff\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		found := wording.Printable(text)
		if !utf8.ValidString(found) {
			t.Errorf("found %q, expected UTF-8", found)
		}
		for _, r := range found {
			if wording.Breaks(r) {
				t.Errorf("found %q in %q", r, found)
			}
		}
	})
}

func TestVisible(t *testing.T) {
	for _, r := range "a0-.山שÅ👩\u0300" {
		if !wording.Visible(r) {
			t.Errorf("%U: found it invisible", r)
		}
	}
	for _, r := range " \n\u00a0\u00ad\u034f\u115f\u1160\u180b\u200b\u200d\u2060\u2800\u3164\ufe0f\ufeff\uffa0\U000e0041" {
		if wording.Visible(r) {
			t.Errorf("%U: found it visible", r)
		}
	}
}
