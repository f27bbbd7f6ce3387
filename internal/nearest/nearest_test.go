package nearest_test

import (
	"testing"

	"github.com/likeness-go/likeness/internal/nearest"
)

func TestName(t *testing.T) {
	known := []string{"contrastive", "triplet", "triplet-ratio", "l1", "l2"}
	tests := map[string]string{
		"contrastiv":   "contrastive", // one letter lost
		"tripletratio": "triplet-ratio",
		"Triplet":      "triplet",
		"l3":           "l1", // equally far from l2, which comes later
		"gallery":      "",   // nothing within three edits
	}
	for found, want := range tests {
		if got := nearest.Name(found, known); got != want {
			t.Errorf("Name(%q) = %q, want %q", found, got, want)
		}
	}
}

func TestUnknown(t *testing.T) {
	got := nearest.Unknown("head", "l9", []string{"l2", "cosine"}).Error()
	if want := `unknown head "l9": did you mean "l2"? There are l2, cosine`; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}
