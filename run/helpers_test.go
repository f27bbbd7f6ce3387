package run

import (
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/internal/testutil"
)

var inFolder = testutil.InFolder

func bars(t *testing.T, folder string, classes, images int) {
	testutil.Bars(t, folder, classes, images)
}

func bar(t *testing.T, position int, seed uint64, side int) string {
	return testutil.Bar(t, position, seed, side)
}

func red(t *testing.T, side int) string { return testutil.Red(t, side) }

func write(t *testing.T, path, content string) { t.Helper(); testutil.Write(t, path, content) }

func read(t *testing.T, path ...string) string { t.Helper(); return testutil.Read(t, path...) }

// settingsEqual compares settings by their keys.
var settingsEqual = cmpopts.IgnoreUnexported(Settings{})

// under is the settings with those of the given keys from above, with the defaults of
// data of a user's own.
func (s Settings) under(above Settings, given map[string]bool) Settings {
	return s.over(generalDefaults, nil, above, given)
}
