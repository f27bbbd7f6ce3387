package gallery_test

import (
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
)

// twoClasses returns a gallery of x with the gray values 100 and 104 and y with 200.
func twoClasses(t *testing.T, rule gallery.Rule) *gallery.Gallery {
	t.Helper()
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{Rule: rule})
	enroll(t, g, "x", grays(100), grays(104))
	enroll(t, g, "y", grays(200))
	return g
}

// unknown has five classes at the distances 3, 5, 6, 10 and 20 from the nearest examples.
func unknown() *datasets.Dataset {
	return series([]uint8{97, 97, 97}, []uint8{195}, []uint8{110}, []uint8{90}, []uint8{220, 220})
}

// Of five trials one may be accepted at a rate of 0.5 with a confidence of 0.8: the
// threshold is below the distance 5 of the second. It is kept, and covers what was enrolled.
func TestCalibrateWithGuaranteeByHand(t *testing.T) {
	g := twoClasses(t, gallery.Nearest)
	want := gallery.Guarantee{Rate: 0.5, Confidence: 0.8, Seed: 3}
	c, err := g.CalibrateWithGuarantee(unknown(), want)
	if err != nil {
		t.Fatal(err)
	}
	want.Task = gallery.TaskIdentify
	expected := gallery.Calibration{
		Threshold: 5, Rate: 0.5, Guaranteed: &want, Accepted: 1, Trials: 5, SameAccepted: 1, SamePairs: 1,
		OwnDistances: []float64{4}, LastExample: 3, Source: "series", Images: 8, Classes: 5, Time: c.Time,
	}
	if diff := cmp.Diff(expected, c, rounding); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r := c.FalseAcceptRate(); r != evaluate.Wilson(1, 5) {
		t.Errorf("the false accept rate is %v", r)
	}
	for _, text := range []string{"threshold 5.0000", "confidence of 0.8, at most 0.5", "(identify)", "accepts 1 of 5 trials", "1 of 1 examples"} {
		if !strings.Contains(c.String(), text) {
			t.Errorf("%q is not in %q", text, c)
		}
	}
	g = reopen(t, g, gallery.Options{})
	if kept, found := g.Calibration(); !found || !cmp.Equal(c, kept) {
		t.Errorf("kept (-made +kept):\n%s", cmp.Diff(c, kept))
	}
	for value, class := range map[uint8]string{97: "x", 195: "", 198: "y"} {
		if found := identify(t, g, grays(value), 1); found.Class() != class || !found.Calibrated {
			t.Errorf("gray %d: %+v", value, found)
		}
	}
	since := func(want int) {
		t.Helper()
		if n, err := g.EnrolledSince(); n != want || err != nil {
			t.Errorf("%d examples were enrolled since the calibration (%v), expected %d", n, err, want)
		}
	}
	since(0)
	if _, err := g.Forget("y"); err != nil {
		t.Fatal(err)
	}
	since(0)
	enroll(t, g, "z", grays(0), grays(1))
	since(2)
	g = reopen(t, g, gallery.Options{})
	since(2)
	if _, err := g.CalibrateWithGuarantee(unknown(), want); err != nil {
		t.Fatal(err)
	}
	since(0)
}

// A class that is enrolled is no trial, whatever its images are; those of the others are as
// before, and depend on the seed only. Verification compares with a random class, which is never
// nearer than the nearest.
func TestTrialsOfGuarantee(t *testing.T) {
	g := twoClasses(t, gallery.Nearest)
	images := unknown()
	images.Classes = append(images.Classes, "y")
	images.Images, images.Labels = append(images.Images, []uint8{200}), append(images.Labels, 5)
	want := gallery.Guarantee{Rate: 0.5, Confidence: 0.8}
	c, err := g.CalibrateWithGuarantee(images, want)
	if err != nil {
		t.Fatal(err)
	}
	if c.Trials != 5 || c.Classes != 6 || math.Abs(c.Threshold-5) > 1e-3 {
		t.Errorf("found %+v", c)
	}
	want.Task = gallery.TaskVerify
	higher := false
	for seed := range uint64(8) {
		want.Seed = seed
		v, err := g.CalibrateWithGuarantee(unknown(), want)
		if err != nil {
			t.Fatal(err)
		}
		again, err := g.CalibrateWithGuarantee(unknown(), want)
		if err != nil || again.Threshold != v.Threshold {
			t.Errorf("seed %d: found %v and %v (%v)", seed, v.Threshold, again.Threshold, err)
		}
		if v.Threshold < c.Threshold || v.Guaranteed.Task != gallery.TaskVerify {
			t.Errorf("seed %d: found %+v, expected at least %v", seed, v, c.Threshold)
		}
		higher = higher || v.Threshold > 50
	}
	if !higher {
		t.Error("verification was never compared with a far class")
	}
}

// With prototypes, one example is compared with the mean of the others.
func TestOwnDistancesOfPrototypes(t *testing.T) {
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{Rule: gallery.Prototype})
	enroll(t, g, "x", grays(10), grays(20), grays(60)) // from the means 40, 35, 15
	c, err := g.Calibrate(steps(), 0.3)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.OwnDistances) != 1 || math.Abs(c.OwnDistances[0]-30) > 1e-3 && math.Abs(c.OwnDistances[0]-15) > 1e-3 && math.Abs(c.OwnDistances[0]-45) > 1e-3 {
		t.Errorf("found %v, expected 30, 15 or 45", c.OwnDistances)
	}
}

func TestGuaranteeRefusals(t *testing.T) {
	g, empty := twoClasses(t, gallery.Nearest), create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	few := gallery.Guarantee{Rate: 0.01, Confidence: 0.95}
	good := gallery.Guarantee{Rate: 0.5, Confidence: 0.8}
	known := series([]uint8{1})
	known.Classes[0] = "x"
	for name, test := range map[string]struct {
		g      *gallery.Gallery
		images *datasets.Dataset
		want   gallery.Guarantee
		is     error
		says   string
	}{
		"few classes":     {g, unknown(), few, evaluate.ErrTooFewTrials, "series has 5 classes that the gallery does not have and 0 that it has; one image of each of the former is a trial. Calibrate on more classes, or choose a higher rate or a lower confidence: found 5, expected at least 299 for a rate of 0.01 with a confidence of 0.95; 5 support rates from 0.451"},
		"enrolled only":   {g, known, good, evaluate.ErrTooFewTrials, "series has 0 classes that the gallery does not have and 1 that it has"},
		"rate":            {g, unknown(), gallery.Guarantee{Rate: 1, Confidence: 0.8}, nil, "the rate is 1"},
		"rate NaN":        {g, unknown(), gallery.Guarantee{Rate: math.NaN(), Confidence: 0.8}, nil, "the rate is NaN"},
		"confidence":      {g, unknown(), gallery.Guarantee{Rate: 0.5, Confidence: 1}, nil, "the confidence is 1"},
		"task":            {g, unknown(), gallery.Guarantee{Rate: 0.5, Confidence: 0.8, Task: "identity"}, nil, `unknown task "identity": did you mean "identify"?`},
		"no images":       {g, nil, good, datasets.ErrTooFew, "no images"},
		"empty gallery":   {empty, unknown(), good, nil, "has no classes"},
		"no gallery":      {nil, unknown(), good, gallery.ErrClosed, "nil"},
		"other read-only": {readOnly(t), unknown(), good, gallery.ErrReadOnly, "read-only"},
	} {
		_, err := test.g.CalibrateWithGuarantee(test.images, test.want)
		if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), test.g.Path()) {
			t.Errorf("%s: found error %v", name, err)
		}
	}
	if _, found := g.Calibration(); found {
		t.Error("a refused calibration is kept")
	}
	if _, err := g.CalibrateFolderWithGuarantee(filepath.Join(t.TempDir(), "none"), good); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: found error %v", err)
	}
}

func readOnly(t *testing.T) *gallery.Gallery {
	return reopen(t, twoClasses(t, gallery.Nearest), gallery.Options{ReadOnly: true})
}

// ladder returns a gallery of 20 classes, 0 to 19, at a distance of step from the next,
// whose two examples have the distances 1 to 20 from each other.
func ladder(t *testing.T, step int) *gallery.Gallery {
	t.Helper()
	g := create(t, plainModel(t, heads.L1{}, 2), gallery.Options{})
	for i := range 20 {
		enroll(t, g, fmt.Sprint(i), grays(uint8(step*i), 0), grays(uint8(step*i), uint8(i+1)))
	}
	return g
}

// A set has all classes within the distance of the rank, and may be empty or have all.
func TestSetsByHand(t *testing.T) {
	sparse, dense := ladder(t, 10), ladder(t, 1)
	for _, g := range []*gallery.Gallery{sparse, dense} {
		images := steps()
		images.Size = imaging.Size{Height: 1, Width: 2, Channels: 1}
		for i, pixels := range images.Images {
			images.Images[i] = append(pixels, 0)
		}
		if _, err := g.Calibrate(images, 0.3); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		g          *gallery.Gallery
		image      image.Image
		confidence float64
		distance   float64
		classes    []string
	}{
		{sparse, grays(103, 0), 0.9, 19, []string{"10", "11", "9", "12"}}, // at 3, 7, 13 and 17, not 8 at 23
		{sparse, grays(103, 0), 0.5, 11, []string{"10", "11"}},
		{sparse, grays(103, 100), 0.9, 19, nil},
		{dense, grays(10, 0), 0.95, 20, []string{"10", "9", "11", "8", "12", "7", "13", "6", "14", "5", "15", "4", "16", "3", "17", "2", "18", "1", "19", "0"}},
	} {
		found, err := test.g.IdentifySets([]image.Image{test.image, grays(0, 0)}, 1, test.confidence)
		if err != nil {
			t.Fatal(err)
		}
		var classes []string
		distances := map[string]float64{}
		for _, candidate := range found[0].Set.Candidates {
			classes = append(classes, candidate.Class)
			distances[candidate.Class] = candidate.Distance
		}
		set := found[0].Set
		if len(classes) != len(test.classes) || !sameOrder(distances, classes) || math.Abs(set.Distance-test.distance) > 1e-3 || set.Trials != 20 || set.Confidence != test.confidence {
			t.Errorf("found %v within %v, expected %v within %v", classes, set.Distance, test.classes, test.distance)
		}
		for _, class := range test.classes {
			if _, found := distances[class]; !found {
				t.Errorf("the set %v lacks %s", classes, class)
			}
		}
		without, err := test.g.IdentifyAll([]image.Image{test.image, grays(0, 0)}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i := range found {
			found[i].Set = nil
		}
		if diff := cmp.Diff(without, found); diff != "" {
			t.Errorf("IdentifyAll and IdentifySets differ (-without +with):\n%s", diff)
		}
	}
}

// sameOrder reports whether the classes are in the order of their distances.
func sameOrder(distances map[string]float64, classes []string) bool {
	for i := 1; i < len(classes); i++ {
		if distances[classes[i-1]] > distances[classes[i]] {
			return false
		}
	}
	return true
}

func TestSetRefusals(t *testing.T) {
	uncalibrated, few := ladder(t, 10), twoClasses(t, gallery.Nearest)
	if _, err := few.Calibrate(steps(), 0.3); err != nil {
		t.Fatal(err)
	}
	older, err := gallery.Open(copied(t, filepath.Join("testdata", "gallery-1.gallery")), plainModel(t, heads.L1{}, 1), gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, older)
	for name, test := range map[string]struct {
		g          *gallery.Gallery
		k          int
		confidence float64
		is         error
		says       string
	}{
		"uncalibrated":   {uncalibrated, 1, 0.95, gallery.ErrUncalibrated, "run likeness calibrate"},
		"few classes":    {few, 1, 0.95, evaluate.ErrTooFewTrials, "1 classes have one example now. Enroll further examples and calibrate again, or choose a lower confidence: found 1, expected at least 20 for a confidence of 0.95"},
		"older":          {older, 1, 0.95, evaluate.ErrTooFewTrials, "found 0, expected at least 20"},
		"confidence":     {few, 1, 1, nil, "the confidence is 1"},
		"not a number":   {few, 1, math.NaN(), nil, "the confidence is NaN"},
		"no gallery":     {nil, 1, 0.95, gallery.ErrClosed, "nil"},
		"no candidates ": {calibratedLadder(t), 0, 0.5, nil, "found 0 candidates"},
	} {
		_, err := test.g.IdentifyEmbeddingsSets([][]float32{{1, 1}}, test.k, test.confidence)
		if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: found error %v", name, err)
		}
	}
}

func calibratedLadder(t *testing.T) *gallery.Gallery {
	g := ladder(t, 10)
	images := &datasets.Dataset{Name: "pairs", Size: imaging.Size{Height: 1, Width: 2, Channels: 1}}
	for i := range 10 {
		images.Classes, images.Labels = append(images.Classes, fmt.Sprint("class ", i)), append(images.Labels, i)
		images.Images = append(images.Images, []uint8{uint8(i), 255})
	}
	if _, err := g.Calibrate(images, 0.5); err != nil {
		t.Fatal(err)
	}
	return g
}

// Sets contain the class of another image of an enrolled class as often as promised, and not
// much more often, by both rules, with classes of different variety.
func TestSetsCover(t *testing.T) {
	const classes, examples, images, confidence = 20, 4, 100, 0.9
	galleries := 10
	if testutil.Long() {
		galleries = 300
	}
	model := plainModel(t, heads.L2{}, 2)
	for _, rule := range []gallery.Rule{gallery.Nearest, gallery.Prototype} {
		covered := 0
		for n := range galleries {
			chance := random.New(5, "sets", n)
			g := create(t, model, gallery.Options{Rule: rule})
			var spreads [classes]float64
			var centers [classes][2]float64
			draw := func(class int) []float32 {
				return []float32{float32(centers[class][0] + spreads[class]*chance.NormFloat64()), float32(centers[class][1] + spreads[class]*chance.NormFloat64())}
			}
			for i := range classes {
				spreads[i], centers[i] = 1+4*chance.Float64(), [2]float64{256 * chance.Float64(), 256 * chance.Float64()}
				var embeddings [][]float32
				for range examples {
					embeddings = append(embeddings, draw(i))
				}
				if err := g.EnrollEmbeddings(fmt.Sprint(i), embeddings...); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := g.Calibrate(pairs(5), 0.5); err != nil {
				t.Fatal(err)
			}
			var of []string
			var embeddings [][]float32
			for range images {
				class := chance.IntN(classes)
				of, embeddings = append(of, fmt.Sprint(class)), append(embeddings, draw(class))
			}
			found, err := g.IdentifyEmbeddingsSets(embeddings, 1, confidence)
			if err != nil {
				t.Fatal(err)
			}
			for i := range found {
				for _, candidate := range found[i].Set.Candidates {
					if candidate.Class == of[i] {
						covered++
					}
				}
			}
			closeGallery(t, g)
		}
		// The coverage of a gallery varies by 0.065, the standard deviation of
		// Beta(19, 2), and is higher than 19/21 because images are compared with one example
		// more than in the calibration.
		share, deviation := float64(covered)/float64(galleries*images), 0.065/math.Sqrt(float64(galleries))
		t.Logf("%s: covered %.4f", rule, share)
		if share < confidence-4*deviation || share > 0.96+3*deviation || share == 1 {
			t.Errorf("%s: covered %.4f of the images, expected at least %v and at most about 0.96", rule, share, confidence)
		}
	}
}

// pairs returns one image of two pixels of each of a number of classes.
func pairs(classes int) *datasets.Dataset {
	d := &datasets.Dataset{Name: "pairs", Size: imaging.Size{Height: 1, Width: 2, Channels: 1}}
	for i := range classes {
		for _, x := range []uint8{0, 200} {
			d.Images, d.Labels = append(d.Images, []uint8{uint8(i), x}), append(d.Labels, i)
		}
		d.Classes = append(d.Classes, fmt.Sprint("class ", i))
	}
	return d
}

// The guarantee holds from enrollment to identification: images of unknown classes are
// uniformly distributed on the images of two pixels, so that the true rate is counted.
func TestGuaranteeOfGalleriesHolds(t *testing.T) {
	testutil.SkipUnlessLong(t, "evaluate.TestGuaranteeHolds simulates the threshold")
	const galleries, rate, confidence = 400, 0.05, 0.95
	model := plainModel(t, heads.L2{}, 2)
	exceed := 0
	for n := range galleries {
		chance := random.New(6, "galleries", n)
		g := create(t, model, gallery.Options{})
		var enrolled [][2]int
		for i := range 20 {
			x := [2]int{chance.IntN(256), chance.IntN(256)}
			enrolled = append(enrolled, x)
			if err := g.EnrollEmbeddings(fmt.Sprint(i), []float32{float32(x[0]), float32(x[1])}); err != nil {
				t.Fatal(err)
			}
		}
		images := &datasets.Dataset{Name: "unknown", Size: imaging.Size{Height: 1, Width: 2, Channels: 1}}
		for i := range 93 {
			x, y := uint8(chance.IntN(256)), uint8(chance.IntN(256))
			images.Classes = append(images.Classes, fmt.Sprint("unknown ", i))
			for range 3 { // images of one class are alike
				images.Images, images.Labels = append(images.Images, []uint8{x + uint8(chance.IntN(3)), y}), append(images.Labels, i)
			}
		}
		c, err := g.CalibrateWithGuarantee(images, gallery.Guarantee{Rate: rate, Confidence: confidence, Seed: uint64(n)})
		if err != nil {
			t.Fatal(err)
		}
		accepted := 0
		for x := range 256 {
			for y := range 256 {
				for _, e := range enrolled {
					if math.Hypot(float64(x-e[0]), float64(y-e[1])) <= c.Threshold {
						accepted++
						break
					}
				}
			}
		}
		if float64(accepted)/65536 > rate {
			exceed++
		}
		closeGallery(t, g)
	}
	share, deviation := float64(exceed)/galleries, math.Sqrt(0.05*0.95/galleries)
	t.Logf("the rate is exceeded in %.4f of %d galleries", share, galleries)
	if share > 0.05+3*deviation || share < 0.01 {
		t.Errorf("the rate is exceeded in %.4f of the galleries, expected at most 0.05 and not many fewer", share)
	}
}
