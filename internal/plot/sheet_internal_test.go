package plot

import (
	"strings"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
)

// A name that is too long keeps its beginning and more of its end; a short one is
// left alone.
func TestElide(t *testing.T) {
	text, err := newLettering()
	if err != nil {
		t.Fatal(err)
	}
	if got := elide(text.regular, 160, "a.png"); got != "a.png" {
		t.Errorf("found %q", got)
	}
	long := "holidays/2024/" + strings.Repeat("x", 60) + "/IMG_0042.jpeg"
	got := elide(text.regular, 160, long)
	head, tail, cut := strings.Cut(got, "…")
	if !cut || head == "" || !strings.HasPrefix(long, head) || !strings.HasSuffix(long, tail) || !strings.HasSuffix(tail, "IMG_0042.jpeg") {
		t.Errorf("found %q", got)
	}
	if width := font.MeasureString(text.regular, got); width > fixed.I(160) || width < fixed.I(140) {
		t.Errorf("%q is %v wide, expected nearly 160", got, width)
	}
	if got := elide(text.regular, 1, long); got != "…" {
		t.Errorf("in no room: found %q", got)
	}
}
