package gallery_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// series returns images of one pixel with the given gray values by class.
func series(classes ...[]uint8) *datasets.Dataset {
	d := &datasets.Dataset{Name: "series", Size: imaging.Size{Height: 1, Width: 1, Channels: 1}, Labels: []int{}}
	for label, values := range classes {
		d.Classes = append(d.Classes, string('a'+rune(label)))
		for _, v := range values {
			d.Images = append(d.Images, []uint8{v})
			d.Labels = append(d.Labels, label)
		}
	}
	return d
}

// steps returns five classes of two images. Gray values differ by 10 between classes and by 3
// within a class, so that different-class pairs have the distances 7, 10, 13 and so on.
//
//	0 3   10 13   20 23   30 33   40 43
//
// The distances between neighboring classes are 7 (4 pairs), 10 (8) and 13 (4). Of all 40
// pairs, 4 are at most 7 apart and 12 at most 10.
func steps() *datasets.Dataset {
	return series([]uint8{0, 3}, []uint8{10, 13}, []uint8{20, 23}, []uint8{30, 33}, []uint8{40, 43})
}

// Thresholds agree with values computed by hand: halfway between the largest distance that
// the rate allows and the next.
func TestCalibrateByHand(t *testing.T) {
	for _, test := range []struct {
		rate      float64
		threshold float64
		accepted  int
	}{
		{0.30, 11.5, 12}, // 12 pairs: those at 7 and 10; the next is at 13
		{0.32, 11.5, 12}, // 12.8 pairs, so 12
		{0.35, 11.5, 12}, // 14 pairs, but at 13 there are four: all or none
		{0.40, 15, 16},   // 16 pairs: 7, 10 and 13; the next is at 17
		{0.25, 8.5, 4},   // 10 pairs, but at 10 there are eight: only those at 7
	} {
		g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
		got, err := g.Calibrate(steps(), test.rate)
		if err != nil {
			t.Errorf("rate %v: %v", test.rate, err)
			continue
		}
		want := gallery.Calibration{
			Threshold: test.threshold, Rate: test.rate, Accepted: test.accepted, DifferentPairs: 40,
			SameAccepted: 5, SamePairs: 5, Source: "series", Images: 10, Classes: 5,
		}
		if diff := cmp.Diff(want, got, rounding, cmpopts.IgnoreFields(gallery.Calibration{}, "Time", "FalseAccept", "TrueAccept")); diff != "" {
			t.Errorf("rate %v (-want +got):\n%s", test.rate, diff)
		}
		if rate := got.FalseAcceptRate(); rate.Value != float64(test.accepted)/40 || rate.Value > test.rate || got.TrueAcceptRate().Value != 1 {
			t.Errorf("rate %v: rates are %v and %v", test.rate, rate, got.TrueAcceptRate())
		}
	}
}

// The intervals account for the images of the accepted pairs: if all are of one image, the
// interval is wider than that of as many independent pairs. A calibration of an older
// gallery, which does not have this information, has a wide interval, too.
func TestIntervalsOfCalibration(t *testing.T) {
	var classes [][]uint8
	for i := range 12 {
		classes = append(classes, []uint8{uint8(20 * i), uint8(20*i + 1)})
	}
	classes[0][1] = 130 // of the first class, in the midst of the others
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	c, err := g.Calibrate(series(classes...), 0.05)
	if err != nil {
		t.Fatal(err)
	}
	reopened, _ := reopen(t, g, gallery.Options{}).Calibration()
	older := c
	older.FalseAccept, older.TrueAccept = gallery.Interval{}, gallery.Interval{}
	for what, rates := range map[string][4]evaluate.Estimate{
		"false accepts": {c.FalseAcceptRate(), reopened.FalseAcceptRate(), older.FalseAcceptRate(), evaluate.Wilson(float64(c.Accepted), c.DifferentPairs)},
		"true accepts":  {c.TrueAcceptRate(), reopened.TrueAcceptRate(), older.TrueAcceptRate(), evaluate.Wilson(float64(c.SameAccepted), c.SamePairs)},
	} {
		found, again, unknown, independent := rates[0], rates[1], rates[2], rates[3]
		if found != again {
			t.Errorf("%s: found %v, and %v when opened again", what, found, again)
		}
		for _, m := range []evaluate.Estimate{found, unknown} {
			if m.Value != independent.Value || m.Low > independent.Low || m.High < independent.High {
				t.Errorf("%s: found %v, expected an interval about that of independent pairs, %v", what, m, independent)
			}
		}
		if width := found.High - found.Low; what == "false accepts" && width < 1.2*(independent.High-independent.Low) {
			t.Errorf("%s: the interval of %v is hardly wider than that of independent pairs, %v", what, found, independent)
		}
	}
}

// If no pair can be accepted, the threshold is below all distances: here ten pairs are
// allowed, but the twenty smallest distances are equal.
func TestCalibrateEqualDistances(t *testing.T) {
	values := [][]uint8{make([]uint8, 5), make([]uint8, 5)}
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	got, err := g.Calibrate(series(values...), 0.5)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.String(), "threshold just below 0.0000 at ") {
		t.Errorf("found %v", got)
	}
	if got.Accepted != 0 || !(got.Threshold < 0) || got.SameAccepted != 0 {
		t.Errorf("found %+v", got)
	}
}

// The gallery's calibration has precedence over the model's threshold, also after the
// gallery is opened again.
func TestCalibrationIsStored(t *testing.T) {
	model := plainModel(t, heads.L1{}, 1)
	threshold := 200.0
	model.Threshold = &threshold
	g := create(t, model, gallery.Options{})
	enroll(t, g, "dark", grays(100))
	if _, found := g.Calibration(); found {
		t.Error("a new gallery is calibrated")
	}
	before := time.Now()
	calibration, err := g.Calibrate(steps(), 0.3)
	if err != nil {
		t.Fatal(err)
	}
	if calibration.Time.Before(before) || calibration.Time.After(time.Now()) {
		t.Errorf("calibrated at %v", calibration.Time)
	}
	again := reopen(t, g, gallery.Options{})
	for _, g := range readable(g, again) {
		kept, found := g.Calibration()
		if diff := cmp.Diff(calibration, kept); diff != "" || !found {
			t.Errorf("(-made +kept):\n%s", diff)
		}
	}
	for value, known := range map[uint8]bool{111: true, 112: false} {
		if found := identify(t, again, grays(value), 1); found.Known != known || !found.Calibrated || found.Threshold != calibration.Threshold {
			t.Errorf("gray %d: %+v", value, found)
		}
	}
	closeGallery(t, again)
	description, err := gallery.Describe(g.Path())
	if err != nil || !cmp.Equal(description.Calibration, &calibration) {
		t.Errorf("described as %+v: %v", description.Calibration, err)
	}
	for _, text := range []string{"threshold 11.5", "rate of 0.3", "series", "10 images of 5 classes", "12 of 40", "5 of 5"} {
		if !strings.Contains(calibration.String(), text) {
			t.Errorf("%q is not in %q", text, calibration)
		}
	}
}

// Too few pairs for a rate are an error that states the required number, and images with
// another preprocessing are an error.
func TestCalibrateRefusals(t *testing.T) {
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	inverted, large, unlabeled := steps(), steps(), steps()
	inverted.Inverted, unlabeled.Labels = true, nil
	large.Size = imaging.Size{Height: 1, Width: 2, Channels: 1}
	for i, image := range large.Images {
		large.Images[i] = append(image, 0)
	}
	for name, test := range map[string]struct {
		images *datasets.Dataset
		rate   float64
		is     error
		says   string
	}{
		"small rate":  {steps(), 1e-4, gallery.ErrTooFewPairs, "a false accept rate of 0.0001 requires at least 100000 such pairs, of which it accepts 10, found 40, which support rates from 0.25"},
		"just below":  {steps(), 0.24, gallery.ErrTooFewPairs, "requires at least 42 such pairs"},
		"one class":   {series([]uint8{1, 2, 3}), 0.5, gallery.ErrTooFewPairs, "found 0"},
		"rate of 0":   {steps(), 0, nil, "rate is 0"},
		"rate of 1":   {steps(), 1, nil, "rate is 1"},
		"no images":   {nil, 0.5, datasets.ErrTooFew, "no images"},
		"unlabeled":   {unlabeled, 0.5, datasets.ErrUnlabeled, "series"},
		"inverted":    {inverted, 0.3, nil, "inverted true"},
		"larger ones": {large, 0.3, nil, "read with size 1x2x1"},
	} {
		_, err := g.Calibrate(test.images, test.rate)
		if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), g.Path()) {
			t.Errorf("%s: found error %v", name, err)
		}
	}
	if _, found := g.Calibration(); found {
		t.Error("a refused calibration is kept")
	}
}

// A folder is read with the model's preprocessing, and of a data set with parts the test
// images are used.
func TestCalibrateFolder(t *testing.T) {
	plain, parts := t.TempDir(), t.TempDir()
	for label, values := range [][]uint8{{0, 3}, {10, 13}, {20, 23}, {30, 33}, {40, 43}} {
		class := string('a' + rune(label))
		for i, v := range values {
			name := string('1'+rune(i)) + ".png"
			writePNG(t, grays(v), plain, class, name)
			writePNG(t, grays(v), parts, "test", class, name)
			writePNG(t, grays(7*v), parts, "train", class, name)
		}
	}
	for _, folder := range []string{plain, parts} {
		g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
		got, err := g.CalibrateFolder(folder, 0.3)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(11.5, got.Threshold, rounding); diff != "" || !strings.HasPrefix(got.Source, filepath.Base(folder)) {
			t.Errorf("found %+v", got)
		}
	}
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	if _, err := g.CalibrateFolder(filepath.Join(plain, "none"), 0.3); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("no folder: found error %v", err)
	}
}
