package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/imaging"
)

// An image in the folder of another class is found, and its own class is suggested.
func TestAudit(t *testing.T) {
	inFolder(t)
	bars(t, "photos", 4, 12)
	saveModel(t, "model.safetensors", nil)
	folders, err := os.ReadDir("photos")
	if err != nil {
		t.Fatal(err)
	}
	right, wrong := folders[0].Name(), folders[2].Name()
	images, err := os.ReadDir(filepath.Join("photos", right))
	if err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join("photos", wrong, "moved.png")
	if err := os.Rename(filepath.Join("photos", right, images[3].Name()), moved); err != nil {
		t.Fatal(err)
	}
	args := []string{"audit", "--data", "photos", "--model", "model.safetensors", "--no-cache"}
	table, said := tool(t, append(args, "--out", "found")...)
	for _, text := range []string{"audited 48 images of 4 classes", "wrote labels.csv, outliers.csv and suspicious.png to found"} {
		if !strings.Contains(said, text) {
			t.Errorf("it says %q, expected %q in it", said, text)
		}
	}
	lines := strings.Split(table, "\n")
	if fields := strings.Fields(lines[1]); len(fields) != 4 || fields[1] != wrong || fields[2] != right || fields[3] != moved {
		t.Errorf("found the first line %q, expected %s, %s and %s", lines[1], wrong, right, moved)
	}
	if !strings.Contains(table, "\noutlier  label") {
		t.Errorf("the table has no outliers:\n%s", table)
	}
	for _, name := range []string{"labels.csv", "outliers.csv"} {
		if rows := strings.Count(read(t, "found", name), "\n"); rows != 49 {
			t.Errorf("%s has %d lines, expected a header and 48", name, rows)
		}
	}
	if line := strings.Split(read(t, "found", "labels.csv"), "\n")[1]; !strings.HasPrefix(line, moved+","+wrong+","+right+",") {
		t.Errorf("labels.csv begins with %q", line)
	}
	if _, err := imaging.DecodeFile(filepath.Join("found", "suspicious.png")); err != nil {
		t.Error(err)
	}

	text, _ := tool(t, append(args, "--json", "--most", "1")...)
	var found auditResult
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		t.Fatal(err)
	}
	if found.Images != 48 || found.Checked != 48 || len(found.Labels) != 1 || found.Labels[0].File != moved || found.Labels[0].Suggested != right || len(found.Outliers) != 1 {
		t.Errorf("found %+v", found)
	}

	write(t, "file", "text")
	toolFails(t, failure, []string{"--most: found 0, expected 1 to 500"}, append(args, "--most", "0")...)
	toolFails(t, failure, []string{"--out: file is a file, expected a folder"}, append(args, "--out", "file")...)
	toolFails(t, failure, []string{"--out: found no folder none, expected one to create out in"}, append(args, "--out", filepath.Join("none", "out"))...)
	for _, out := range []string{"photos", filepath.Join("photos", "audit")} {
		toolFails(t, failure, []string{"--out: " + out, "in the folder of the images"}, append(args, "--out", out)...)
	}
	toolFails(t, failure, []string{"--data", "nowhere"}, "audit", "--data", "nowhere")
	toolFails(t, failure, []string{"in the folder itself, expected one folder of images for each class"}, "audit", "--data", filepath.Join("photos", right), "--model", "model.safetensors", "--no-cache")
	write(t, filepath.Join("photos", right, "broken.png"), "no image")
	toolFails(t, failure, []string{"broken.png", "--skip-broken"}, args...)
	if _, said := tool(t, append(args, "--skip-broken")...); !strings.Contains(said, "skipped      ") || !strings.Contains(said, "broken.png") {
		t.Errorf("it says %q", said)
	}
}
