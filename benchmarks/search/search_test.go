package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/gallery/index"
)

func TestRecallOf(t *testing.T) {
	exact := [][]index.Neighbor{{{Row: 1}, {Row: 2}}, {{Row: 5}, {Row: 7}}}
	if got := recallOf(exact, [][]int{{2, 3}, {5, 7}}); got != 0.75 {
		t.Errorf("found %v, expected 0.75", got)
	}
	if got := recallOf(exact, nil); got != 0 {
		t.Errorf("found %v, expected 0 of no answers", got)
	}
}

// The program runs and writes the record; another run replaces the figures of its size only.
func TestRun(t *testing.T) {
	out := t.TempDir()
	s := setting{columns: 64, queries: 6, together: 9, head: "l2", seed: 1, cache: t.TempDir()}
	for _, sizes := range []string{"300", "1500", "300"} {
		if err := s.run([]string{sizes}, out); err != nil {
			if strings.Contains(err.Error(), "git") {
				t.Skip("not in a git repository: ", err)
			}
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(out, "search.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`-n 300 -d 64 -queries 6 -together 9 -head l2 -seed 1`, `\| 300 \| likeness, exact \| \d+\.\d \| \d+\.\d \| 1\.0000 \|`, `\| 1500 \|`} {
		if found := regexp.MustCompile(want).FindAll(text, -1); len(found) != 1 {
			t.Errorf("%q is %d times in\n%s", want, len(found), text)
		}
	}
	if _, err := os.Stat(filepath.Join(out, "search.png")); err != nil {
		t.Error(err)
	}
	for name, test := range map[string]struct {
		change func(*setting)
		sizes  string
		want   string
	}{
		"size":     {func(*setting) {}, "5", `-n: found "5"`},
		"together": {func(s *setting) { s.together = 3 }, "300", "-together 3"},
		"peer":     {func(s *setting) { s.peers = []string{"annoy"} }, "300", `-peers: found "annoy"`},
		"head":     {func(s *setting) { s.head, s.peers = "l1", peers }, "300", "-head: found l1"},
		"python":   {func(s *setting) { s.python, s.peers = "no-such-python", peers[:1] }, "300", "-python"},
	} {
		changed := s
		test.change(&changed)
		if err := changed.run([]string{test.sizes}, out); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found error %v, want %q", name, err, test.want)
		}
	}
}
