package page

import (
	"strings"
	"testing"
)

// A name that is longer than its place ends in an ellipsis and fits; line breaks
// in it break nothing.
func TestFit(t *testing.T) {
	style := legendStyle()
	for name, whole := range map[string]bool{"short": true, strings.Repeat("long ", 50): false, "猫": true, strings.Repeat("猫", 100): false, "": true} {
		found := fit(name, style, 150)
		if (found == name) != whole || strings.HasSuffix(found, "…") == whole || style.Width(found) > 150 {
			t.Errorf("%q became %q, %v wide", name, found, style.Width(found))
		}
	}
	if found := fit("a\nb\tc\x00", style, 150); found != "a b c " {
		t.Errorf("control characters became %q", found)
	}
}
