package imaging_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
)

// smooth is a photograph in small: colors that change slowly, and an edge.
func smooth(width, height int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			wave := func(phase, length float64) uint8 {
				return uint8(128 + 100*math.Sin(phase+float64(x)/length)*math.Cos(float64(y)/(length+3)))
			}
			c := color.NRGBA{R: wave(0, 31), G: wave(1, 23), B: wave(2, 41), A: 255}
			if x > width/2 && y > height/2 {
				c.R /= 2
			}
			img.Set(x, y, c)
		}
	}
	return img
}

func scaled(height, width int) imaging.Preprocessing {
	return imaging.Preprocessing{Size: imaging.Size{Height: height, Width: width, Channels: 3}, ScaledJPEG: true}
}

// The image is the smallest of which no side is smaller than the size, and each of its
// pixels is about the mean of those that it stands for.
func TestScaledJPEG(t *testing.T) {
	for name, test := range map[string]struct {
		width, height int
		p             imaging.Preprocessing
		denominator   int
	}{
		"whole":                {95, 63, scaled(32, 32), 1},
		"half":                 {131, 101, scaled(50, 50), 2},
		"a quarter":            {135, 130, scaled(32, 32), 4},
		"an eighth":            {300, 261, scaled(20, 30), 8},
		"high, but narrow":     {16, 333, scaled(1, 16), 1},
		"without the setting":  {135, 130, imaging.Preprocessing{Size: scaled(32, 32).Size}, 1},
		"of preprocessing {} ": {135, 130, imaging.Preprocessing{}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			file := testutil.JPEG(smooth(test.width, test.height))
			whole, err := imaging.Decode(bytes.NewReader(file), "whole.jpg")
			if err != nil {
				t.Fatal(err)
			}
			img, err := test.p.Decode(bytes.NewReader(file), "scaled.jpg")
			if err != nil {
				t.Fatal(err)
			}
			d := test.denominator
			if want := image.Pt((test.width+d-1)/d, (test.height+d-1)/d); img.Bounds().Size() != want {
				t.Fatalf("found an image of %v, expected %v", img.Bounds().Size(), want)
			}
			var sum, worst float64
			n := 0
			for y := range test.height / d { // without blocks that the edge cuts
				for x := range test.width / d {
					var mean, found [3]float64
					for i := range d * d {
						addColor(&mean, whole.At(d*x+i%d, d*y+i/d), 1/float64(d*d))
					}
					addColor(&found, img.At(x, y), 1)
					for c := range mean {
						difference := math.Abs(mean[c] - found[c])
						sum, worst, n = sum+difference, max(worst, difference), n+1
					}
				}
			}
			if sum/float64(n) > 1.5 || worst > 40 {
				t.Errorf("found a mean difference of %.2f and one of %.0f, expected at most 1.5 and, at the edge, 40", sum/float64(n), worst)
			}
			if d == 1 && sum != 0 {
				t.Error("found other pixels than those of Decode")
			}
		})
	}
}

func addColor(to *[3]float64, c color.Color, weight float64) {
	r, g, b, _ := c.RGBA()
	for i, v := range []uint32{r, g, b} {
		to[i] += weight * float64(v) / 257
	}
}

// A block of one color has that color at every size, and one that only has the lowest
// frequency the values of the cosine at so many points.
func TestScaledJPEGByHand(t *testing.T) {
	gray := image.NewGray(image.Rect(0, 0, 16, 16))
	for i := range gray.Pix {
		gray.Pix[i] = uint8(math.Round(128 + 80*math.Cos((2*float64(i%8)+1)*math.Pi/16)))
	}
	file := testutil.JPEG(gray)
	for size, want := range map[int][]float64{
		8: {128 + 80*math.Cos(math.Pi/8), 128 + 80*math.Cos(3*math.Pi/8), 128 + 80*math.Cos(5*math.Pi/8), 128 + 80*math.Cos(7*math.Pi/8)},
		4: {128 + 80*math.Cos(math.Pi/4), 128 + 80*math.Cos(3*math.Pi/4)},
		2: {128},
	} {
		p := imaging.Preprocessing{Size: imaging.Size{Height: size, Width: size, Channels: 1}, ScaledJPEG: true}
		img, err := p.Decode(bytes.NewReader(file), "cosine.jpg")
		if err != nil {
			t.Fatal(err)
		}
		for y := range size {
			for x := range size {
				if found := float64(img.(*image.Gray).GrayAt(x, y).Y); math.Abs(found-want[x%len(want)]) > 2.5 {
					t.Errorf("size %d, pixel (%d, %d): found %v, expected %.1f", size, x, y, found, want[x%len(want)])
				}
			}
		}
	}
}

// cameraJPEG returns a file as other encoders than image/jpeg write it: 24 x 17 pixels in
// blocks with the given sampling factors of the brightness, and a restart marker after each
// MCU if asked for. Each block has the brightness and the colors of its place.
func cameraJPEG(h, v int, restart bool) []byte {
	var file bytes.Buffer
	segment := func(marker byte, content ...byte) {
		file.Write([]byte{0xff, marker})
		file.Write(binary.BigEndian.AppendUint16(nil, uint16(2+len(content))))
		file.Write(content)
	}
	file.Write([]byte{0xff, 0xd8})
	segment(0xdb, append([]byte{0}, bytes.Repeat([]byte{8}, 64)...)...)
	segment(0xc0, 8, 0, 17, 0, 24, 3, 1, byte(h<<4|v), 0, 2, 0x11, 0, 3, 0x11, 0)
	// Codes of 4 bits for differences of DC of 0 to 11 bits, and of 1 bit for the end of a block.
	segment(0xc4, append([]byte{0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)...)
	segment(0xc4, append([]byte{0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0)...)
	if restart {
		segment(0xdd, 0, 1)
	}
	segment(0xda, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0)
	bits, n := uint64(0), 0
	flush := func() {
		for ; n > 0; n -= 8 {
			if n < 8 {
				bits, n = bits<<(8-n)|1<<(8-n)-1, 8
			}
			value := byte(bits >> (n - 8))
			if file.WriteByte(value); value == 0xff {
				file.WriteByte(0)
			}
		}
		bits, n = 0, 0
	}
	var previous [3]int
	mcus := ((24 + 8*h - 1) / (8 * h)) * ((17 + 8*v - 1) / (8 * v))
	for mcu := range mcus {
		if restart && mcu > 0 {
			flush()
			file.Write([]byte{0xff, 0xd0 | byte((mcu-1)%8)})
			previous = [3]int{}
		}
		for component, blocks := range []int{h * v, 1, 1} {
			for block := range blocks {
				dc := 20*mcu + 5*block - 30 + 7*component
				difference := dc - previous[component]
				previous[component] = dc
				size := 0
				for 1<<size <= max(difference, -difference) {
					size++
				}
				if difference < 0 {
					difference += 1<<size - 1
				}
				bits, n = bits<<4|uint64(size), n+4
				bits, n = bits<<size|uint64(difference), n+size
				bits, n = bits<<1, n+1
				if n > 32 { // whole bytes leave, the rest stays
					rest := n % 8
					kept := bits & (1<<rest - 1)
					bits, n = bits>>rest, n-rest
					flush()
					bits, n = kept, rest
				}
			}
		}
	}
	flush()
	file.Write([]byte{0xff, 0xd9})
	return file.Bytes()
}

// Files with any sampling of the colors, and with restart markers, give the pixels that
// package image/jpeg gives, since each of their blocks has one color.
func TestScaledJPEGOfCameras(t *testing.T) {
	for _, sampling := range [][2]int{{1, 1}, {2, 1}, {2, 2}, {1, 2}, {4, 1}} {
		for _, restart := range []bool{false, true} {
			file := cameraJPEG(sampling[0], sampling[1], restart)
			whole, err := jpeg.Decode(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			img, err := scaled(2, 3).Decode(bytes.NewReader(file), "camera.jpg")
			if err != nil {
				t.Fatal(err)
			}
			want := image.Pt(3, 3)
			if sampling[1] > sampling[0] || sampling[0] > 2 {
				want = image.Pt(24, 17) // decoded whole
			}
			if img.Bounds().Size() != want {
				t.Fatalf("%v: found an image of %v, expected %v", sampling, img.Bounds().Size(), want)
			}
			step := 24 / want.X
			for y := range want.Y {
				for x := range want.X {
					if img.At(x, y) != whole.At(step*x, step*y) {
						t.Errorf("sampling %v, restart %v, pixel (%d, %d): found %v, expected %v", sampling, restart, x, y, img.At(x, y), whole.At(step*x, step*y))
					}
				}
			}
		}
	}
}

// progressive is a progressive file of 16 x 16 gray pixels of value 118, written by Pillow 13.0.0.
const progressive = "" +
	"ffd8ffe000104a46494600010100000100010000ffdb004300100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c" +
	"3933383740485c4e404457453738506d51575f626768673e4d71797064785c656763ffc2000b080010001001011100ffc4001500010100" +
	"000000000000000000000000000002ffda000801010000000181ffc40014100100000000000000000000000000000020ffda0008010100" +
	"0105021fffc40014100100000000000000000000000000000020ffda0008010100063f021fffc400141001000000000000000000000000" +
	"00000020ffda0008010100013f211fffda0008010100000010ff00ffc40014100100000000000000000000000000000020ffda00080101" +
	"00013f101fffd9"

// What scaledJPEG does not read is decoded whole, and the errors are those of Decode.
func TestScaledJPEGOfOthers(t *testing.T) {
	file := testutil.JPEG(smooth(64, 64))
	for name, content := range map[string][]byte{
		"truncated":         file[:len(file)/2],
		"without its end":   file[:len(file)-2],
		"without pixels":    file[:bytes.Index(file, []byte{0xff, 0xda})],
		"garbage in a scan": append(append(bytes.Clone(file[:len(file)/2]), 0xff, 0xc0), file[len(file)/2:]...),
	} {
		_, want := imaging.Decode(bytes.NewReader(content), "x.jpg")
		_, err := scaled(8, 8).Decode(bytes.NewReader(content), "x.jpg")
		if want == nil || err == nil || err.Error() != want.Error() {
			t.Errorf("%s: found the error %v, expected %v", name, err, want)
		}
	}
	content, err := hex.DecodeString(progressive)
	if err != nil {
		t.Fatal(err)
	}
	whole, want := imaging.Decode(bytes.NewReader(content), "progressive.jpg")
	img, err := scaled(2, 2).Decode(bytes.NewReader(content), "progressive.jpg")
	if want != nil || err != nil || img.Bounds() != whole.Bounds() {
		t.Errorf("a progressive file: found %v, %v, expected the whole image, %v", img, err, want)
	}
}

// The orientation applies to the size and to the scaled image.
func TestScaledJPEGIsTurned(t *testing.T) {
	file := testutil.JPEGWithEXIF(testutil.JPEG(smooth(128, 64)), testutil.EXIF(binary.LittleEndian, 6))
	for _, test := range []struct{ height, width, wantHeight, wantWidth int }{{32, 16, 32, 16}, {16, 32, 64, 32}} {
		img, err := scaled(test.height, test.width).Decode(bytes.NewReader(file), "turned.jpg")
		if err != nil {
			t.Fatal(err)
		}
		if size := img.Bounds().Size(); size != image.Pt(test.wantWidth, test.wantHeight) {
			t.Errorf("for %d x %d: found %v, expected %d x %d", test.height, test.width, size, test.wantHeight, test.wantWidth)
		}
	}
}

const fourComponents = "" +
	"ffd8ffee000e41646f626500640000000000ffdb00430002010101010102010101020202020204030202020205040403040605060606" +
	"05060606070908060709070606080b08090a0a0a0a0a06080b0c0b0a0c090a0a0affc000140800080008044311004d11005911004b11" +
	"00ffc4001500010100000000000000000000000000000905ffc40014100100000000000000000000000000000000ffda000e0443004d" +
	"0059004b00003f0036cc22e10c7fffd9"

// Files of four components are CMYK values that are stored inverted, or with the
// transformation 2 of Adobe's marker YCCK; without a marker they count as CMYK. The pixels
// are those of Pillow 13.0.0, which wrote the file of 8 x 8 pixels: cyan 200, magenta 30,
// yellow 120, key 60 at quality 95.
func TestFourComponents(t *testing.T) {
	withMarker, err := hex.DecodeString(fourComponents)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(withMarker, []byte("\xff\xee"))
	without := append(bytes.Clone(withMarker[:at]), withMarker[at+16:]...)
	ycck := bytes.Clone(withMarker)
	ycck[at+15] = 2
	for name, test := range map[string]struct {
		file []byte
		want color.RGBA
	}{
		"CMYK":                      {withMarker, color.RGBA{42, 172, 103, 255}},
		"CMYK without Adobe marker": {without, color.RGBA{42, 172, 103, 255}},
		"YCCK":                      {ycck, color.RGBA{145, 182, 21, 255}},
	} {
		for _, p := range []imaging.Preprocessing{{}, scaled(2, 2)} {
			for kind, r := range map[string]io.Reader{"file": bytes.NewReader(test.file), "stream": bytes.NewBuffer(test.file)} {
				img, err := p.Decode(r, name)
				if err != nil {
					t.Errorf("%s, %s: %v", name, kind, err)
					continue
				}
				found := color.RGBAModel.Convert(img.At(4, 4)).(color.RGBA)
				for i, pair := range [][2]uint8{{found.R, test.want.R}, {found.G, test.want.G}, {found.B, test.want.B}} {
					if difference := int(pair[0]) - int(pair[1]); difference < -2 || difference > 2 {
						t.Errorf("%s, %s: found %v, expected %v within 2 levels (channel %d)", name, kind, found, test.want, i)
					}
				}
			}
		}
	}
}

func TestScaledJPEGExcludesCrop(t *testing.T) {
	p := scaled(8, 8)
	p.Crop = &imaging.Crop{Margin: 1.15}
	if err := p.Validate(); err == nil {
		t.Error("found no error for cropping and scaled decoding")
	}
}

// Whatever the bytes, scaled decoding returns an image of at least the size if Decode does,
// and an error of the content otherwise.
func FuzzScaledJPEG(f *testing.F) {
	noise := image.NewNRGBA(image.Rect(0, 0, 40, 24))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise.Pix {
		noise.Pix[i] = uint8(r.IntN(256))
	}
	for _, file := range [][]byte{testutil.JPEG(noise), testutil.JPEG(smooth(33, 25)), testutil.JPEG(image.NewGray(image.Rect(0, 0, 17, 17))), cameraJPEG(2, 1, true), cameraJPEG(1, 1, false)} {
		f.Add(file, uint8(3))
		f.Add(file[:len(file)*3/4], uint8(1))
	}
	f.Fuzz(func(t *testing.T, file []byte, side uint8) {
		p := scaled(1+int(side)%16, 1+int(side)/16)
		size, err := imaging.DecodeSize(bytes.NewReader(file), "fuzzed")
		if err != nil || size.Height*size.Width > mostFuzzed {
			t.Skip()
		}
		img, err := p.Decode(bytes.NewReader(file), "fuzzed")
		whole, wholeErr := imaging.Decode(bytes.NewReader(file), "fuzzed")
		if wholeErr == nil && err != nil {
			t.Fatalf("found %v for a file that can be decoded whole", err)
		}
		if err != nil {
			return
		}
		if wholeErr == nil && p.Size.Width <= whole.Bounds().Dx() && p.Size.Height <= whole.Bounds().Dy() &&
			(img.Bounds().Dx() < p.Size.Width || img.Bounds().Dy() < p.Size.Height) {
			t.Errorf("found an image of %v, expected at least %v of %v", img.Bounds().Size(), p.Size, whole.Bounds().Size())
		}
		if _, err := p.Prepare(img); err != nil {
			t.Error(err)
		}
	})
}
