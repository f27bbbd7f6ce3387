package zoo_test

import (
	"image"
	"image/color"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/zoo"
)

// cross and ring draw a shape in black on white, with a size and a position.
func cross(side, x, y, size int) image.Image {
	return drawing(side, func(i, j int) bool {
		dx, dy := math.Abs(float64(i-x)), math.Abs(float64(j-y))
		return (dx < 3 || dy < 3) && dx < float64(size) && dy < float64(size)
	})
}

func ring(side, x, y, size int) image.Image {
	return drawing(side, func(i, j int) bool {
		return math.Abs(math.Hypot(float64(i-x), float64(j-y))-float64(size)) < 3
	})
}

func drawing(side int, ink func(i, j int) bool) image.Image {
	img := image.NewGray(image.Rect(0, 0, side, side))
	for j := range side {
		for i := range side {
			img.SetGray(i, j, color.Gray{Y: 255})
			if ink(i, j) {
				img.SetGray(i, j, color.Gray{})
			}
		}
	}
	return img
}

// Every model can be loaded and has a complete model card.
func TestModels(t *testing.T) {
	if len(zoo.Names()) == 0 {
		t.Fatal("there are no models")
	}
	for _, name := range zoo.Names() {
		model, err := zoo.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := zoo.Preprocessing(name); err != nil || !reflect.DeepEqual(p, model.Preprocessing) {
			t.Errorf("%s: found the preprocessing %+v (%v), expected %+v", name, p, err, model.Preprocessing)
		}
		card, err := os.ReadFile(name + ".md")
		if err != nil {
			t.Error(err)
		}
		for _, heading := range []string{"## Data", "## Protocol", "## Accuracy", "## Limitations", "## License"} {
			if !strings.Contains(string(card), heading) {
				t.Errorf("the card of %s has no %q", name, heading)
			}
		}
	}
}

// Two crosses of different sizes and positions are the same character, a ring is another.
func TestDefaultModel(t *testing.T) {
	model, err := zoo.Load(zoo.Default)
	if err != nil {
		t.Fatal(err)
	}
	same, err := model.Compare(cross(105, 50, 50, 30), cross(120, 70, 40, 22))
	if err != nil {
		t.Fatal(err)
	}
	different, err := model.Compare(cross(105, 50, 50, 30), ring(105, 50, 50, 30))
	if err != nil {
		t.Fatal(err)
	}
	if !same.Calibrated || !same.Same || different.Same {
		t.Errorf("crosses: %+v, cross and ring: %+v", same, different)
	}
}

func TestUnknown(t *testing.T) {
	if _, err := zoo.Load("omniglott"); err == nil || !strings.Contains(err.Error(), `did you mean "omniglot"?`) {
		t.Errorf("found %v", err)
	}
}

// The checksums of the models, by which galleries identify them, must not change. The
// models compute the same embeddings here as on the machine that saved them.
func TestChecksums(t *testing.T) {
	checksums := map[string]string{
		"photo":        "9fd17919f07ebd19df71dc371dd75afcaa1067264bf59341e0496953aabcbf0b",
		"verification": "e6fdc588b462b5d6545dfa98d2ca71487b7b7f8da7c635e8e8cb19e4fd8878ce",
		"koch":         "6a1b06478bbc5e670fbf84b45436987ff91186fabf6da0d43fe264e63500659c",
		"mnist":        "520e18533bd46cea52e0a285ec69e1c19ef8641bd81e08537e022008b74c2a30",
		"omniglot":     "ac20e4f4c7049c0fdb2ac85286d81145312bca6790cad69f40bcaf4d4de37892",
	}
	for _, name := range zoo.Names() {
		model, err := zoo.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		identity, err := model.Identity()
		if err != nil || identity.Checksum != checksums[name] {
			t.Errorf("%s: found %v (%v), expected the checksum %s", name, identity, err, checksums[name])
		}
		if deviation, tolerance, err := model.ProbeDeviation(); err != nil || !(deviation < tolerance/10) {
			t.Errorf("%s: the probe deviates by %v (%v), expected far less than %v", name, deviation, err, tolerance)
		}
	}
}
