//go:build unix

package datasets_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/datasets"
	"golang.org/x/sys/unix"
)

// link makes the path lead to the target.
func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// Links in a circle, links to nothing, and pipes, which would be waited for, are
// errors that name them.
func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	dot := grayPNG(t, []uint8{7})
	for name, test := range map[string]struct {
		files map[string][]byte
		add   func(data string)
		want  string
	}{
		"a class in a circle": {map[string][]byte{"a/1.png": dot, "c/1.png": dot}, func(data string) { link(t, data, filepath.Join(data, "a", "b")) }, "holds the folder b"},
		"a link to itself":    {map[string][]byte{"a/1.png": dot}, func(data string) { link(t, "b", filepath.Join(data, "b")) }, "b"},
		"a link to nothing":   {map[string][]byte{"a/1.png": dot, "b/1.png": dot}, func(data string) { link(t, "nothing", filepath.Join(data, "b", "2.png")) }, "2.png"},
		"a pipe in a class":   {map[string][]byte{"a/1.png": dot, "b/1.png": dot}, func(data string) { pipe(t, filepath.Join(data, "b", "2.png")) }, "2.png is neither a file nor a folder"},
		"a pipe in a list":    {map[string][]byte{"list.csv": []byte("a,b,different\n1.png,2.png,0\n"), "1.png": dot}, func(data string) { pipe(t, filepath.Join(data, "2.png")) }, "2.png"},
		"a pipe in Omniglot": {map[string][]byte{"images_background/Greek/character01/0001_01.png": dot}, func(data string) {
			pipe(t, filepath.Join(data, "images_background/Greek/character01/0001_02.png"))
		}, "0001_02.png, which is not a file"},
	} {
		data := folder(t, test.files)
		test.add(data)
		if _, err := datasets.Open(data, datasets.Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found error %v, expected %q", name, err, test.want)
		}
	}
}

func pipe(t *testing.T, path string) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
}

// A file that may not be read is an error that names it, and is skipped where that is asked for.
func TestAFileThatMayNotBeRead(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	dot := grayPNG(t, []uint8{7})
	classes := folder(t, map[string][]byte{"a/1.png": dot, "b/1.png": dot})
	secret := filepath.Join(classes, "a", "1.png")
	if err := os.Chmod(secret, 0); err != nil {
		t.Fatal(err)
	}
	_, err := datasets.Open(classes, datasets.Options{})
	expectError(t, "a file that may not be read", err, os.ErrPermission, secret)
	splits, err := datasets.Open(classes, datasets.Options{SkipBroken: true})
	if err != nil || len(splits.Skipped) != 1 || !strings.Contains(splits.Skipped[0], secret) {
		t.Errorf("skipped %q, %v", splits.Skipped, err)
	}
}

// A link that leads nowhere and has the name of an image is an error that names it and where
// it leads, and is skipped where that is asked for.
func TestALinkThatLeadsNowhere(t *testing.T) {
	dot := grayPNG(t, []uint8{7})
	classes := folder(t, map[string][]byte{"a/1.png": dot, "a/2.png": dot, "b/1.png": dot})
	link := filepath.Join(classes, "b", "2.png")
	if err := os.Symlink("gone.png", link); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []bool{false, true} {
		_, err := datasets.Open(classes, datasets.Options{Stream: stream})
		expectError(t, "a link that leads nowhere", err, datasets.ErrBroken, link)
		expectError(t, "a link that leads nowhere", err, os.ErrNotExist, "a link to gone.png")
		splits, err := datasets.Open(classes, datasets.Options{SkipBroken: true, Stream: stream})
		if err != nil || splits.Train.Len() != 3 || len(splits.Skipped) != 1 || !strings.Contains(splits.Skipped[0], link) {
			t.Errorf("skipped %q, %v", splits.Skipped, err)
		}
	}
}
