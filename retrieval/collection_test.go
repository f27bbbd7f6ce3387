package retrieval_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

func characterModel(t *testing.T) *likeness.Model {
	t.Helper()
	model, err := zoo.Load(zoo.Default)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// The same drawing in another format, size or position is a near duplicate; another
// drawing is not.
func TestNearDuplicatesOfDrawings(t *testing.T) {
	folder := t.TempDir()
	var files []string
	for name, d := range drawings {
		files = append(files,
			write(t, folder, name+".png", asPNG(t, d.on(105, 0, 0))),
			write(t, folder, name+" as a photo.jpg", asJPEG(t, d.on(105, 0, 0))),
			write(t, folder, name+" for the web.gif", asGIF(t, d.on(105, 0, 0))),
			write(t, folder, name+" large.png", asPNG(t, d.on(240, 0, 0))),
			write(t, folder, name+" moved.png", asPNG(t, d.on(105, 4, -3))))
	}
	slices.Sort(files)
	collection, err := retrieval.Embed(context.Background(), characterModel(t), files, retrieval.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pairs, err := collection.Near(context.Background(), 0.05, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, group := range retrieval.Groups(pairs) {
		first := strings.TrimSuffix(strings.Fields(filepath.Base(collection.Files[group[0].Image]))[0], ".png")
		for _, member := range group {
			found[first] = append(found[first], filepath.Base(collection.Files[member.Image]))
		}
		slices.Sort(found[first])
	}
	want := map[string][]string{}
	for name := range drawings {
		want[name] = []string{name + " as a photo.jpg", name + " for the web.gif", name + " large.png", name + " moved.png", name + ".png"}
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// The embeddings are those of the model in the order of the files, and progress is
// reported.
func TestEmbed(t *testing.T) {
	folder := t.TempDir()
	model := characterModel(t)
	var files []string
	for i := range 70 { // more than are embedded at a time
		files = append(files, write(t, folder, string(rune('a'+i/26))+string(rune('a'+i%26))+".png", asPNG(t, drawings["ring"].on(40, i%7, i%5))))
	}
	var progress [][2]int
	collection, err := retrieval.Embed(context.Background(), model, files, retrieval.Options{
		OnProgress: func(done, total int) { progress = append(progress, [2]int{done, total}) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files, collection.Files); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][2]int{{64, 70}, {70, 70}}, progress); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	for _, i := range []int{0, 63, 69} {
		img, err := imaging.DecodeFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		want, err := model.Embed(img)
		if err != nil {
			t.Fatal(err)
		}
		metric, err := model.Metric()
		if err != nil {
			t.Fatal(err)
		}
		if d := distance(t, metric, want[0], collection.Embeddings.Row(i)); d > 1e-6 {
			t.Errorf("the embedding of %s is at %v from the model's own", files[i], d)
		}
	}
}

func TestEmbedBrokenFiles(t *testing.T) {
	folder := t.TempDir()
	model := characterModel(t)
	sound := write(t, folder, "sound.png", asPNG(t, drawings["ring"].on(40, 0, 0)))
	broken := write(t, folder, "broken.png", []byte("no image"))
	cut := write(t, folder, "cut.png", asPNG(t, drawings["ring"].on(40, 0, 0))[:60])
	_, err := retrieval.Embed(context.Background(), model, []string{sound, cut, broken}, retrieval.Options{})
	if !errors.Is(err, retrieval.ErrBroken) || !strings.Contains(err.Error(), cut) {
		t.Errorf("found %v, expected ErrBroken for %s", err, cut)
	}
	collection, err := retrieval.Embed(context.Background(), model, []string{broken, sound, cut}, retrieval.Options{SkipBroken: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{sound}, collection.Files); diff != "" || collection.Embeddings.Rows != 1 {
		t.Errorf("found %d embeddings; files (-want +got):\n%s", collection.Embeddings.Rows, diff)
	}
	if len(collection.Skipped) != 2 || !strings.Contains(collection.Skipped[0], broken) || !strings.Contains(collection.Skipped[1], cut) {
		t.Errorf("skipped %q", collection.Skipped)
	}
	_, err = retrieval.Embed(context.Background(), model, []string{broken, cut}, retrieval.Options{SkipBroken: true})
	if !errors.Is(err, retrieval.ErrBroken) || !strings.Contains(err.Error(), "none of 2") {
		t.Errorf("found %v, expected that none could be read", err)
	}
}

func TestEmbedInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(context.Background())
	interrupt()
	sound := write(t, t.TempDir(), "sound.png", asPNG(t, drawings["ring"].on(40, 0, 0)))
	if _, err := retrieval.Embed(ctx, characterModel(t), []string{sound}, retrieval.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("found %v, expected the context's error", err)
	}
}

// Without a model there is no metric, which is said before any file is read.
func TestEmbedWithoutAModel(t *testing.T) {
	for name, model := range map[string]*likeness.Model{"nil": nil, "empty": {}} {
		if c, err := retrieval.Embed(t.Context(), model, []string{"a.png"}, retrieval.Options{}); err == nil || !strings.HasPrefix(err.Error(), "embed files: ") {
			t.Errorf("%s: found %v, error %v", name, c, err)
		}
	}
}
