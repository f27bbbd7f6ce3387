package report

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/png"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/plot"
	"github.com/likeness-go/likeness/internal/random"
	"gonum.org/v1/gonum/mat"
)

// Points in a plane of a higher-dimensional space have the same distances on the map,
// and the shares of the variance agree with the eigenvalues of the covariance matrix.
func TestPrincipal(t *testing.T) {
	const n, features = 30, 5
	chance := random.New(1, "plane")
	along, across := make([]float64, features), make([]float64, features)
	for k := range features {
		along[k], across[k] = chance.NormFloat64(), chance.NormFloat64()
	}
	var data []float32
	for range n {
		a, b := 3*chance.NormFloat64(), chance.NormFloat64()
		for k := range features {
			data = append(data, float32(7+a*along[k]+b*across[k]))
		}
	}
	embeddings, err := evaluate.NewEmbeddings(n, features, data)
	if err != nil {
		t.Fatal(err)
	}
	places, shares, err := principal(embeddings)
	if err != nil {
		t.Fatal(err)
	}
	distances := make([]float64, n*n)
	euclidean, err := heads.L2{}.Distance(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := euclidean.Pairwise(distances, embeddings.Data, embeddings.Data, embeddings.Columns); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		for j := range n {
			found := math.Hypot(places[i][0]-places[j][0], places[i][1]-places[j][1])
			if math.Abs(found-distances[i*n+j]) > 1e-4 {
				t.Fatalf("points %d and %d: %v apart on the map, %v in space", i, j, found, distances[i*n+j])
			}
		}
	}
	if diff := cmp.Diff(eigenShares(t, embeddings), shares[:], cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		t.Errorf("shares (-of the covariance +found):\n%s", diff)
	}
}

// eigenShares returns the two largest eigenvalues of the covariance matrix as shares of
// its trace.
func eigenShares(t *testing.T, e evaluate.Embeddings) []float64 {
	t.Helper()
	covariance := mat.NewSymDense(e.Columns, nil)
	mean := make([]float64, e.Columns)
	for row := range e.Rows {
		for k, x := range e.Row(row) {
			mean[k] += float64(x) / float64(e.Rows)
		}
	}
	for j := range e.Columns {
		for k := range j + 1 {
			var sum float64
			for row := range e.Rows {
				sum += (float64(e.Row(row)[j]) - mean[j]) * (float64(e.Row(row)[k]) - mean[k])
			}
			covariance.SetSym(j, k, sum)
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(covariance, false) {
		t.Fatal("no eigenvalues")
	}
	values, total := eigen.Values(nil), mat.Trace(covariance)
	return []float64{values[len(values)-1] / total, values[len(values)-2] / total}
}

// Edge cases: one feature, equal embeddings, and more features than images.
func TestPrincipalEdgeCases(t *testing.T) {
	for name, test := range map[string]struct {
		rows, columns int
		data          []float32
		shares        [2]float64
	}{
		"one feature":   {4, 1, []float32{0, 1, 2, 5}, [2]float64{1, 0}},
		"equal":         {4, 2, []float32{3, 4, 3, 4, 3, 4, 3, 4}, [2]float64{0, 0}},
		"a line":        {4, 2, []float32{0, 0, 1, 1, 2, 2, 3, 3}, [2]float64{1, 0}},
		"many features": {2, 4, []float32{0, 1, 2, 3, 4, 5, 6, 7}, [2]float64{1, 0}},
		"a square":      {4, 3, []float32{1, 0, 0, -1, 0, 0, 0, 1, 0, 0, -1, 0}, [2]float64{0.5, 0.5}},
	} {
		embeddings, err := evaluate.NewEmbeddings(test.rows, test.columns, test.data)
		if err != nil {
			t.Fatal(err)
		}
		places, shares, err := principal(embeddings)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(test.shares, shares, cmpopts.EquateApprox(0, 1e-9)); diff != "" || len(places) != test.rows {
			t.Errorf("%s: %d places, shares (-want +found):\n%s", name, len(places), diff)
		}
	}
}

// Negative distances, which the weighted L1 head may have, keep their order, and the
// result is symmetric.
func TestSquares(t *testing.T) {
	distances := []float64{
		0, -2, 1,
		-2, 0, 3.5,
		1, 4.5, 0,
	}
	want := []float64{
		0, 0, 9,
		0, 0, 36,
		9, 36, 0,
	}
	if diff := cmp.Diff(want, squares(distances, 3)); diff != "" {
		t.Errorf("(-want +found):\n%s", diff)
	}
}

// An image is embedded in the page without a change.
func TestInlinePictures(t *testing.T) {
	for _, test := range []struct {
		size   imaging.Size
		pixels []uint8
		want   []color.Color // row by row
	}{
		{imaging.Size{Height: 1, Width: 2, Channels: 1}, []uint8{0, 200}, []color.Color{color.Gray{}, color.Gray{Y: 200}}},
		{imaging.Size{Height: 2, Width: 1, Channels: 3}, []uint8{1, 2, 3, 250, 0, 9}, []color.Color{color.RGBA{1, 2, 3, 255}, color.RGBA{250, 0, 9, 255}}},
	} {
		uri := string(inline(test.size.Image(test.pixels)))
		content, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(uri, "data:image/png;base64,"))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range test.want {
			found := color.RGBAModel.Convert(img.At(i%test.size.Width, i/test.size.Width))
			if diff := cmp.Diff(color.RGBAModel.Convert(want), found); diff != "" {
				t.Errorf("%v, pixel %d (-want +found):\n%s", test.size, i, diff)
			}
		}
	}
}

func TestShrink(t *testing.T) {
	for _, test := range []struct{ width, height, most, wantWidth, wantHeight int }{
		{10, 20, 20, 10, 20}, {100, 50, 20, 20, 10}, {1000, 1, 20, 20, 1}, {30, 60, 20, 10, 20},
	} {
		bounds := shrink(image.NewGray(image.Rect(0, 0, test.width, test.height)), test.most).Bounds()
		if bounds.Dx() != test.wantWidth || bounds.Dy() != test.wantHeight {
			t.Errorf("%d×%d to %d: found %v, expected %d×%d", test.width, test.height, test.most, bounds, test.wantWidth, test.wantHeight)
		}
	}
}

// White strokes on black and black strokes on white are line drawings; images with
// intermediate grays and color images are not.
func TestInkOf(t *testing.T) {
	for name, test := range map[string]struct {
		channels int
		pixels   []uint8
		drawing  bool
		ink      [2]uint8 // of black and of white
	}{
		"white on black": {1, []uint8{0, 0, 0, 255}, true, [2]uint8{0, 255}},
		"black on white": {1, []uint8{255, 255, 255, 0}, true, [2]uint8{255, 0}},
		"grays":          {1, []uint8{0, 100, 120, 255}, false, [2]uint8{}},
		"colors":         {3, make([]uint8, 12), false, [2]uint8{}},
	} {
		d := &datasets.Dataset{Size: imaging.Size{Height: 2, Width: 2, Channels: test.channels}, Images: [][]uint8{test.pixels}}
		ink := inkOf(d)
		if (ink != nil) != test.drawing {
			t.Errorf("%s: it is a drawing: %v", name, ink != nil)
			continue
		}
		if ink != nil && [2]uint8{ink(0), ink(255)} != test.ink {
			t.Errorf("%s: black is ink of %d, white of %d", name, ink(0), ink(255))
		}
	}
}

// The tile of a line drawing has colored strokes on a transparent background; that of
// another image has a colored frame.
func TestTiles(t *testing.T) {
	red := color.RGBA{200, 0, 0, 255}
	drawing := &datasets.Dataset{Size: imaging.Size{Height: 2, Width: 2, Channels: 1}, Images: [][]uint8{{0, 255, 0, 0}}}
	photo := &datasets.Dataset{Size: imaging.Size{Height: 2, Width: 2, Channels: 1}, Images: [][]uint8{{90, 110, 130, 150}}}
	tile := tiles(drawing, []color.RGBA{red})[0]
	if _, _, _, alpha := tile.At(0, 0).RGBA(); alpha != 0 || color.RGBAModel.Convert(tile.At(1, 0)) != color.Color(red) {
		t.Errorf("paper is %v and ink %v", tile.At(0, 0), tile.At(1, 0))
	}
	tile = tiles(photo, []color.RGBA{red})[0]
	if color.RGBAModel.Convert(tile.At(0, 0)) != color.Color(red) || color.GrayModel.Convert(tile.At(frame, frame)) != color.Color(color.Gray{Y: 90}) {
		t.Errorf("the frame is %v and the image %v", tile.At(0, 0), tile.At(frame, frame))
	}
}

// Of twelve classes the ten with the most images have colors of their own, in the order
// of the classes.
func TestClassColors(t *testing.T) {
	d := &datasets.Dataset{}
	for class := range 12 {
		d.Classes = append(d.Classes, strconv.Itoa(class))
		images := 2
		if class == 1 || class == 5 {
			images = 1
		}
		for range images {
			d.Images, d.Labels = append(d.Images, nil), append(d.Labels, class)
		}
	}
	colors, meaning := classColors(d)
	var names []string
	for _, entry := range meaning {
		names = append(names, entry.Name)
	}
	if diff := cmp.Diff([]string{"0", "2", "3", "4", "6", "7", "8", "9", "10", "11", "others"}, names); diff != "" {
		t.Errorf("legend (-want +found):\n%s", diff)
	}
	for i, class := range d.Labels {
		want := map[int]color.RGBA{0: plot.Colors[0], 1: others, 2: plot.Colors[1], 5: others, 11: plot.Colors[9]}[class]
		if want != (color.RGBA{}) && colors[i] != want {
			t.Errorf("class %d has the color %v, expected %v", class, colors[i], want)
		}
	}
	d.Labels = nil
	if colors, meaning = classColors(d); meaning != nil || colors[0] != classless || colors[len(colors)-1] != classless {
		t.Errorf("without labels found the legend %v and the color %v", meaning, colors[0])
	}
}

// By hand: a cluster of one class, one of which three of four images are of one class, and one of
// three classes.
func TestPurityColors(t *testing.T) {
	s := &MapEvidence{Clustering: &evaluate.Clustering{
		Clusters: 3, Assignments: []int{0, 1, 2, 1, 1, 0, 2, 1, 2},
		Purity: evaluate.Score{Trials: []float64{1, 1, 1, 0, 1, 1, 0, 1, 0}},
	}}
	colors, meaning := purityColors(s)
	var names []string
	for _, entry := range meaning {
		names = append(names, entry.Name)
	}
	if diff := cmp.Diff([]string{"purity 100 %", "60 to 80 %", "below 40 %"}, names); diff != "" {
		t.Errorf("legend (-want +found):\n%s", diff)
	}
	for i, cluster := range s.Clustering.Assignments {
		if want := purityLevels[[]int{0, 2, 4}[cluster]].color; colors[i] != want {
			t.Errorf("image %d of cluster %d has the color %v, expected %v", i, cluster, colors[i], want)
		}
	}
}
