package run

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
)

// configured are the settings of flags and of a file, if it is not empty.
func configured(t *testing.T, file string, flags Settings, given ...string) Settings {
	t.Helper()
	keys := map[string]bool{}
	for _, key := range given {
		keys[key] = true
	}
	settings, _, err := Configure(file, flags, keys)
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

// A preset replaces all settings of the augmentation, single settings change it, and a file that
// has been saved gives the same settings again, zeros included.
func TestAugmentationPresets(t *testing.T) {
	inFolder(t)
	photo := func(change func(*Settings)) Settings {
		s, err := generalDefaults.WithAugmentation("photo")
		if err != nil {
			t.Fatal(err)
		}
		s.Data = "photos"
		change(&s)
		return s
	}
	write(t, "photo.toml", "data = \"photos\"\naugmentation = \"photo\"\nhue = 0.2\n")
	write(t, "plain.toml", "data = \"photos\"\n")
	write(t, "rotated.toml", "data = \"photos\"\naugment = 0.5\nrotation = 20.0\n")
	none := func(change func(*Settings)) Settings {
		s := generalDefaults
		s.Data = "photos"
		change(&s)
		return s
	}
	for _, test := range []struct {
		name, file string
		flags      Settings
		given      string
		want       Settings
	}{
		{"nothing", "", Settings{}, "", none(func(s *Settings) { s.Augmentation = "auto" })},
		{"a preset", "", Settings{Augmentation: "photo"}, "augmentation", photo(func(*Settings) {})},
		{"a preset that is changed", "", Settings{Augmentation: "photo", Grayscale: 0.3}, "augmentation grayscale horizontal_flip", photo(func(s *Settings) { s.Grayscale, s.HorizontalFlip = 0.3, 0 })},
		{"a preset of a file", "photo.toml", Settings{}, "", photo(func(s *Settings) { s.Hue = 0.2 })},
		{"a flag over a preset of a file", "photo.toml", Settings{}, "brightness", photo(func(s *Settings) { s.Hue, s.Brightness = 0.2, 0 })},
		{"no preset over one of a file", "photo.toml", Settings{Augmentation: "none"}, "augmentation", none(func(s *Settings) { s.Augmentation = "none" })},
		{"a preset over a file", "rotated.toml", Settings{Augmentation: "photo"}, "augmentation", photo(func(*Settings) {})},
		{"a single setting", "", Settings{HorizontalFlip: 0.5}, "horizontal_flip", none(func(s *Settings) { s.HorizontalFlip = 0.5 })},
		{"a former setting", "", Settings{Augment: 0.5, Rotation: 5}, "augment rotation", none(func(s *Settings) { s.Augment, s.Rotation = 0.5, 5 })},
		{"an augmentation that is off", "", Settings{}, "augment", none(func(*Settings) {})},
		{"a file", "plain.toml", Settings{}, "", none(func(*Settings) {})},
		{"a file of an earlier version", "rotated.toml", Settings{}, "", none(func(s *Settings) { s.Augment, s.Rotation = 0.5, 20 })},
	} {
		given := append(strings.Fields(test.given), "data")
		test.flags.Data = "photos"
		got := configured(t, test.file, test.flags, given...)
		if diff := cmp.Diff(test.want, got, settingsEqual); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if err := got.check(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if test.want.Augmentation == "auto" {
			continue // which prepare decides
		}
		again, err := throughFile(got)
		if err != nil {
			t.Fatal(err)
		}
		again.Data = "photos"
		if !reflect.DeepEqual(again.augmentation(), got.augmentation()) || again.Augmentation != got.Augmentation {
			t.Errorf("%s: a saved file has the augmentation %+v, expected %+v", test.name, again.augmentation(), got.augmentation())
		}
	}

	// Somebody adds the name of the preset to a saved file.
	if err := none(func(*Settings) {}).Save("saved.toml"); err != nil {
		t.Fatal(err)
	}
	text := read(t, "saved.toml")
	if strings.Contains(text, "augmentation") || strings.Contains(text, "erasing") || strings.Contains(text, "hue") {
		t.Errorf("settings without an augmentation of photographs have keys of it:\n%s", text)
	}
	write(t, "saved.toml", strings.Replace(text, "augment = ", "augmentation = \"photo\"\naugment = ", 1))
	if got := configured(t, "saved.toml", Settings{}); !reflect.DeepEqual(got.augmentation(), photo(func(*Settings) {}).augmentation()) {
		t.Errorf("found the augmentation %+v, expected that of photo", got.augmentation())
	}
}

// The default training keeps its augmentation, which is the preset drawing, and other data have
// that preset in proportion to the size of their images.
func TestDrawingAugmentation(t *testing.T) {
	inFolder(t)
	standard := configured(t, "", Settings{})
	for _, preset := range []string{"drawing", "auto"} {
		if got := configured(t, "", Settings{Augmentation: preset}, "augmentation"); !reflect.DeepEqual(got.augmentation(), standard.augmentation()) || got.Augmentation != "drawing" {
			t.Errorf("%s: found %s with %+v, expected that of the default training", preset, got.Augmentation, got.augmentation())
		}
	}
	if got := configured(t, "", Settings{Augmentation: "none"}, "augmentation"); got.augmentation() != nil {
		t.Errorf("found %+v, expected none", got.augmentation())
	}
	for _, side := range []int{28, 56} {
		images := &datasets.Dataset{Size: imaging.Size{Height: side / 2, Width: side, Channels: 1}}
		s := configured(t, "", Settings{Data: "scans", Augmentation: "drawing", BatchElastic: 5}, "data", "augmentation", "batch_elastic")
		want := standard
		factor := float64(side) / 28
		want.Translation, want.ElasticSigma, want.BatchElasticSigma = 2.24*factor, 4*factor, 6*factor
		want.BatchElastic = 5 // was chosen
		if note, err := s.decideAugmentation(images); note != "" || err != nil || !reflect.DeepEqual(s.augmentation(), want.augmentation()) {
			t.Errorf("at %d: found %+v, %q, %v, expected %+v", side, s.augmentation(), note, err, want.augmentation())
		}
		again, err := throughFile(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.decideAugmentation(images); err != nil || !reflect.DeepEqual(again.augmentation(), s.augmentation()) {
			t.Errorf("at %d: a saved file has the augmentation %+v (%v), expected %+v", side, again.augmentation(), err, s.augmentation())
		}
	}
}

// picture is an image of a kind: a photograph has colored areas and noise, a drawing few lines.
func picture(kind string, size imaging.Size, seed int) []uint8 {
	r := random.New(uint64(seed), "picture")
	pixels := make([]uint8, size.Len())
	for i := range pixels {
		x, y, c := i/size.Channels%size.Width, i/size.Channels/size.Width, i%size.Channels
		switch {
		case kind == "photograph":
			pixels[i] = uint8(60*c + 2*x + (seed*y+r.IntN(60))%130)
		case x == seed%size.Width:
			pixels[i] = 10
		default:
			pixels[i] = 250
		}
	}
	return pixels
}

// Only color images that are photographs are augmented without being told to. What was decided is
// not decided again.
func TestAutomaticAugmentation(t *testing.T) {
	color, gray := imaging.Size{Height: 20, Width: 20, Channels: 3}, imaging.Size{Height: 20, Width: 20, Channels: 1}
	for _, test := range []struct {
		name  string
		size  imaging.Size
		kinds []string // of the images, in turn
		note  string
		photo bool
	}{
		{"photographs", color, []string{"photograph"}, "augmentation photo: 100 of 100 images examined are photographs (--augmentation none turns it off)", true},
		{"drawings", color, []string{"drawing"}, "augmentation none: 100 of 100 images examined are drawings", false},
		{"both", color, []string{"drawing", "photograph"}, "augmentation none: of 100 images examined 50 are photographs and 50 are drawings", false},
		{"gray photographs", gray, []string{"photograph"}, "", false},
	} {
		d := &datasets.Dataset{Name: test.name, Size: test.size, Classes: []string{"one"}}
		for i := range 200 {
			d.Images = append(d.Images, picture(test.kinds[i/2%len(test.kinds)], test.size, i))
			d.Labels = append(d.Labels, 0)
		}
		s := configured(t, "", Settings{Data: "photos"}, "data")
		note, err := s.decideAugmentation(d)
		if err != nil || !strings.HasPrefix(note, test.note) || (note == "") != (test.note == "") {
			t.Errorf("%s: found the note %q (%v), expected %q", test.name, note, err, test.note)
		}
		want := generalDefaults
		want.Data = "photos"
		if test.photo {
			if want, err = want.WithAugmentation("photo"); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, s, settingsEqual); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		before := s
		if note, err = s.decideAugmentation(d); note != "" || err != nil || !cmp.Equal(before, s, settingsEqual) {
			t.Errorf("%s: decided again: %q, %v", test.name, note, err)
		}
	}
}

// A training on photographs says that it augments them, saves the decision, and the saved settings
// train the same model. Without the augmentation it is another one.
func TestPhotographsAreAugmented(t *testing.T) {
	inFolder(t)
	size := imaging.Size{Height: 20, Width: 20, Channels: 3}
	for class := range 2 {
		for i := range 6 {
			pixels := picture("photograph", size, 10*class+i)
			img := image.NewRGBA(image.Rect(0, 0, size.Width, size.Height))
			for at := range size.Height * size.Width {
				img.Set(at%size.Width, at/size.Width, color.RGBA{pixels[3*at], pixels[3*at+1], pixels[3*at+2], 255})
			}
			path := filepath.Join("photos", fmt.Sprintf("class%d", class), fmt.Sprintf("%d.png", i))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			file, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(file, img); err != nil {
				t.Fatal(err)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var notes []string // of the augmentation
	observer := &Observer{Prepared: func(p Preparation) {
		notes = slices.DeleteFunc(p.Notes, func(note string) bool { return !strings.HasPrefix(note, "augmentation") })
	}}
	s := Settings{Data: "photos", Unseen: List{"none"}, Batch: 4, Epochs: 1, Features: 2, Out: "first"}
	first, err := Train(t.Context(), s, observer)
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "augmentation photo: ") {
		t.Errorf("found the notes %q, expected that photographs are augmented", notes)
	}
	if text := read(t, "first", "config.toml"); !strings.Contains(text, "\naugmentation = \"photo\"\n") || !strings.Contains(text, "\nhue = 0.05\n") {
		t.Errorf("the saved settings lack the augmentation:\n%s", text)
	}
	saved, err := Load(first.Folder.Config())
	if err != nil {
		t.Fatal(err)
	}
	saved.Out = "second"
	second, err := Train(t.Context(), saved, observer)
	if err != nil {
		t.Fatal(err)
	}
	if names := differing(first.Model, second.Model); len(names) != 0 || len(notes) != 0 {
		t.Errorf("the saved settings train another model: %v (with the notes %q)", names, notes)
	}
	s.Augmentation, s.Out = "none", "third"
	third, err := Train(t.Context(), s, observer)
	if err != nil {
		t.Fatal(err)
	}
	if len(differing(first.Model, third.Model)) == 0 || len(notes) != 0 {
		t.Errorf("without the augmentation it is the same model (with the notes %q)", notes)
	}
}

func TestAugmentationRefuses(t *testing.T) {
	for text, change := range map[string]func(*Settings){
		`--augmentation: unknown preset "foto": did you mean "photo"?`:                                 func(s *Settings) { s.Augmentation = "foto" },
		"--augmentation: found photo, but every operation of it is off: use none":                      func(s *Settings) { s.Augmentation = "photo" },
		"--augmentation: found drawing, but every operation of it is off":                              func(s *Settings) { s.Augmentation = "drawing" },
		"--augmentation: found none, but another setting turns an augmentation on":                     func(s *Settings) { s.Augmentation, s.Augment = "none", 0.5 },
		"--augmentation: found auto, but another setting turns an augmentation on":                     func(s *Settings) { s.Augmentation, s.Grayscale = "auto", 0.5 },
		"--color-jitter: found 0.5, but no change of a color: set --brightness":                        func(s *Settings) { s.ColorJitter = 0.5 },
		"--crop-scale-min: random resized crop: scale_min is 0.5 and scale_max 0.2, expected both":     func(s *Settings) { s.CropScaleMin, s.CropScaleMax = 0.5, 0.2 },
		"--crop-ratio-min: random resized crop: ratio_min is 2 and ratio_max 0, expected both above 0": func(s *Settings) { s.CropRatioMin = 2 },
		"--blur-kernel: Gaussian blur: kernel is 4, expected an odd number of 1 to 127":                func(s *Settings) { s.BlurKernel = 4 },
		"--blur-sigma-min: Gaussian blur: sigma_min is 3 and sigma_max 2":                              func(s *Settings) { s.BlurSigmaMin, s.BlurSigmaMax = 3, 2 },
		"--erasing-scale-min: random erasing: scale_min is 0 and scale_max 0.5":                        func(s *Settings) { s.ErasingScaleMax = 0.5 },
		"--erasing-ratio-min: random erasing: ratio_min is 5000":                                       func(s *Settings) { s.ErasingRatioMin, s.ErasingRatioMax = 5000, 5000 },
		"--hue: found 0.6, expected a number from 0 to 0.5":                                            func(s *Settings) { s.Hue = 0.6 },
	} {
		s := generalDefaults
		change(&s)
		if err := s.check(); err == nil || !strings.HasPrefix(err.Error(), text) {
			t.Errorf("found error %v, expected %s", err, text)
		}
	}
	if _, err := Defaults().WithAugmentation("photos"); err == nil || !strings.HasPrefix(err.Error(), `--augmentation: unknown preset "photos": did you mean "photo"?`) {
		t.Errorf("found %v", err)
	}
	s, err := Defaults().WithAugmentation("photo")
	if err != nil || s.Check() != nil || s.augmentation().Photo.Crop.ScaleMin != 0.5 || s.Augment != 0 {
		t.Errorf("found %+v (%v), expected the preset photo alone", s.augmentation(), err)
	}
}
