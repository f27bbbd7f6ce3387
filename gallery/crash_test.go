package gallery_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// childVariable makes TestChildEnrolls do what its name says, into the gallery
// that it names.
const childVariable = "LIKENESS_GALLERY_CHILD"

// TestChildEnrolls is a program rather than a test: it opens or creates a gallery,
// enrols without end, and prints each class once it is told that it is there.
func TestChildEnrolls(t *testing.T) {
	path := os.Getenv(childVariable)
	if path == "" {
		t.Skip("it is run by TestKilledWhileEnrolling")
	}
	model := plainModel(t, heads.L2{}, 3)
	g, err := gallery.Open(path, model, gallery.Options{})
	if errors.Is(err, os.ErrNotExist) {
		g, err = gallery.Create(path, model, gallery.Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := g.Len(); ; i++ {
		class := fmt.Sprint("class ", i)
		if err := g.Enroll(class, greys(uint8(i), uint8(i>>8), 7)); err != nil {
			t.Fatal(err)
		}
		fmt.Println("enrolled", class)
	}
}

// A process is killed again and again while it enrols; whatever it said that it
// had enrolled is there afterwards, as it was.
func TestKilledWhileEnrolling(t *testing.T) {
	kills := 4
	if os.Getenv("LIKENESS_LONG") != "" {
		kills = 100
	}
	path := filepath.Join(t.TempDir(), "test.gallery")
	var acknowledged []string
	for kill := range kills {
		// Not always after as many, so that it dies at different places.
		acknowledged = append(acknowledged, killedAfter(t, path, 1+7*kill%20)...)
		check(t, path, acknowledged)
	}
}

// killedAfter starts the child, kills it when it has acknowledged so many, and
// returns all that it had acknowledged by then.
func killedAfter(t *testing.T, path string, count int) (acknowledged []string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestChildEnrolls$", "-test.v")
	child.Env = append(os.Environ(), childVariable+"="+path)
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(output); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if class, found := strings.CutPrefix(lines.Text(), "enrolled "); found {
			acknowledged = append(acknowledged, class)
		}
		if len(acknowledged) == count {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || len(acknowledged) < count {
		t.Fatalf("the child acknowledged %d enrolments and ended by itself:\n%s", len(acknowledged), &said)
	}
	return acknowledged
}

// check opens the gallery and looks for the classes.
func check(t *testing.T, path string, classes []string) {
	t.Helper()
	g, err := gallery.Open(path, plainModel(t, heads.L2{}, 3), gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, g)
	for _, class := range classes {
		var i int
		if _, err := fmt.Sscanf(class, "class %d", &i); err != nil {
			t.Fatal(err)
		}
		found, err := g.Verify(class, greys(uint8(i), uint8(i>>8), 7))
		if err != nil || found.Distance != 0 {
			t.Errorf("%s, which was acknowledged, is at %v: %v", class, found.Distance, err)
		}
	}
	// The one that was under way may have come through, too.
	if g.Len() < len(classes) {
		t.Errorf("%d examples are there, %d were acknowledged", g.Len(), len(classes))
	}
}

// What a process that died left while it made a gallery is in nobody's way: the
// gallery is not there yet, and can be made.
func TestMakingThatWasCutOff(t *testing.T) {
	folder := t.TempDir()
	left := filepath.Join(folder, ".test.gallery.ABCDEFGHIJKLMNOPQRSTUVWXY2.tmp")
	if err := os.WriteFile(left, make([]byte, 4096), 0o666); err != nil {
		t.Fatal(err)
	}
	path, model := filepath.Join(folder, "test.gallery"), plainModel(t, heads.L2{}, 3)
	if _, err := gallery.Open(path, model, gallery.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("found error %v, expected that there is none", err)
	}
	g, err := gallery.Create(path, model, gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	closeGallery(t, g)
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 {
		t.Errorf("found %v (%v), expected the gallery and what was there before", entries, err)
	}
}
