package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// character returns a drawing that differs from all of its rotated and mirrored forms.
func character(side int, at func(x, y int) (int, int)) image.Image {
	img := image.NewGray(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			u, v := at(x, y)
			dx, dy := float64(u)/float64(side), float64(v)/float64(side)
			ink := math.Abs(dx-0.3) < 0.04 && dy > 0.15 && dy < 0.85 || math.Abs(dy-0.25) < 0.04 && dx > 0.3 && dx < 0.75 || math.Abs(dy-0.55) < 0.04 && dx > 0.3 && dx < 0.5
			img.SetGray(x, y, color.Gray{Y: 255})
			if ink {
				img.SetGray(x, y, color.Gray{})
			}
		}
	}
	return img
}

func upright(x, y int) (int, int) { return x, y }

// encodings encode an image in the supported formats.
var encodings = map[string]func(b *bytes.Buffer, img image.Image) error{
	"png":  func(b *bytes.Buffer, img image.Image) error { return png.Encode(b, img) },
	"jpg":  func(b *bytes.Buffer, img image.Image) error { return jpeg.Encode(b, img, nil) },
	"gif":  func(b *bytes.Buffer, img image.Image) error { return gif.Encode(b, img, nil) },
	"bmp":  func(b *bytes.Buffer, img image.Image) error { return bmp.Encode(b, img) },
	"tiff": func(b *bytes.Buffer, img image.Image) error { return tiff.Encode(b, img, nil) },
	"pgm": func(b *bytes.Buffer, img image.Image) error {
		side := img.Bounds().Dx()
		b.WriteString("P5 " + strconv.Itoa(side) + " " + strconv.Itoa(side) + " 255\n")
		b.Write(img.(*image.Gray).Pix)
		return nil
	},
}

// attackImages uses images that are truncated, changed, of another format or of an impossible
// size.
func (m material) attackImages(ctx context.Context) (count int, err error) {
	good, err := m.picture("good.png", character(64, upright))
	if err != nil {
		return 0, err
	}
	var files []string
	add := func(name string, content []byte) error {
		file, err := m.write(content, "hostile", name)
		files = append(files, file)
		return err
	}
	chance := random.New(1, "images")
	for extension, encode := range encodings {
		var b bytes.Buffer
		if err := encode(&b, character(64, upright)); err != nil {
			return 0, errors.WithStack(err)
		}
		whole := b.Bytes()
		if _, err := m.write(whole, "formats", "character."+extension); err != nil {
			return 0, err
		}
		for _, part := range []int{1, 4, 16, len(whole) / 2} {
			if err := add("cut"+strconv.Itoa(part)+"."+extension, whole[:part]); err != nil {
				return 0, err
			}
		}
		for i := range m.changes { // some of these are still images: they must not crash the command
			changed := bytes.Clone(whole)
			for range 8 {
				changed[chance.IntN(len(changed))] = byte(chance.IntN(256))
			}
			file, err := m.write(changed, "changed", strconv.Itoa(i)+"."+extension)
			if err != nil {
				return count, err
			}
			if _, err := m.ask(ctx, "compare", good, file, "--model", m.model); err != nil {
				return count, err
			}
			count++
		}
		found, err := m.accepted(ctx, "compare", good, filepath.Join(m.folder, "formats", "character."+extension), "--model", "omniglot")
		if err != nil {
			return count, err
		}
		if distance, err := distanceOf(found); err != nil || distance > 0.01 {
			return count, errors.Errorf("%s: the distance of the same image as PNG and as %s is %v (%v)", found.command, extension, distance, err)
		}
		count++
	}
	huge := []byte("\x89PNG\r\n\x1a\n")
	header := append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 1<<31-1), 1<<31-1), 16, 6, 0, 0, 0)
	for name, content := range map[string][]byte{
		"empty.png": nil, "text.png": []byte("no image"), "zeros.jpg": make([]byte, 1<<16), "huge.png": chunk(huge, "IHDR", header),
		"huge.pgm": []byte("P5 2147483647 2147483647 255\n"), "page.jpg": []byte("<!DOCTYPE html><html></html>"),
	} {
		if err := add(name, content); err != nil {
			return count, err
		}
	}
	for i, file := range append(files, m.folder, filepath.Join(m.folder, "missing.png")) {
		commands := [][]string{{"compare", good, file, "--model", m.model}, {"search", file, "--in", filepath.Join(m.folder, "formats"), "--model", m.model}}
		if m.sample {
			commands = commands[i%2:][:1]
		}
		for _, arguments := range commands {
			if err := m.refused(ctx, []string{filepath.Base(file)}, arguments...); err != nil {
				return count, err
			}
			count++
		}
	}
	return count, nil
}

// picture writes a PNG file.
func (m material) picture(name string, img image.Image) (string, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return "", errors.WithStack(err)
	}
	return m.write(b.Bytes(), name)
}

// distanceOf returns the distance that compare printed.
func distanceOf(s said) (float64, error) {
	fields := strings.Fields(s.out)
	if len(fields) < 2 || fields[0] != "distance" {
		return 0, errors.Errorf("%s: found %q", s.command, s.out)
	}
	return strconv.ParseFloat(fields[1], 64)
}

// chunk appends a chunk of a PNG.
func chunk(file []byte, kind string, data []byte) []byte {
	file = binary.BigEndian.AppendUint32(file, uint32(len(data)))
	begin := len(file)
	file = append(append(file, kind...), data...)
	return binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(file[begin:]))
}

// stored returns the position in a square image of a pixel of a file with an EXIF
// orientation.
var stored = map[uint16]func(n, x, y int) (int, int){
	1: func(n, x, y int) (int, int) { return x, y },
	2: func(n, x, y int) (int, int) { return n - 1 - x, y },
	3: func(n, x, y int) (int, int) { return n - 1 - x, n - 1 - y },
	4: func(n, x, y int) (int, int) { return x, n - 1 - y },
	5: func(n, x, y int) (int, int) { return y, x },
	6: func(n, x, y int) (int, int) { return n - 1 - y, x },
	7: func(n, x, y int) (int, int) { return n - 1 - y, n - 1 - x },
	8: func(n, x, y int) (int, int) { return y, n - 1 - x },
}

// attackOrientation writes one image in the eight EXIF orientations, as PNG and as JPEG, and
// compares each with the upright one.
func (m material) attackOrientation(ctx context.Context) (count int, err error) {
	const side = 64
	plain, err := m.picture("upright.png", character(side, upright))
	if err != nil {
		return 0, err
	}
	for orientation, place := range stored {
		exif := append([]byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00"), byte(orientation), 0, 0, 0, 0, 0, 0, 0)
		turned := character(side, func(x, y int) (int, int) { return place(side, x, y) })
		var asPNG, asJPEG bytes.Buffer
		if err := png.Encode(&asPNG, turned); err != nil {
			return count, errors.WithStack(err)
		}
		if err := jpeg.Encode(&asJPEG, turned, &jpeg.Options{Quality: 100}); err != nil {
			return count, errors.WithStack(err)
		}
		const header = 8 + 25 // signature and IHDR
		withChunk := append(chunk(bytes.Clone(asPNG.Bytes()[:header]), "eXIf", exif), asPNG.Bytes()[header:]...)
		segment := append([]byte("Exif\x00\x00"), exif...)
		withSegment := append([]byte{0xff, 0xd8, 0xff, 0xe1}, binary.BigEndian.AppendUint16(nil, uint16(len(segment)+2))...)
		withSegment = append(append(withSegment, segment...), asJPEG.Bytes()[2:]...)
		for extension, content := range map[string][]byte{"png": withChunk, "jpg": withSegment} {
			if m.sample && (extension == "png") != (orientation%2 == 0) {
				continue
			}
			file, err := m.write(content, "turned", strconv.Itoa(int(orientation))+"."+extension)
			if err != nil {
				return count, err
			}
			found, err := m.accepted(ctx, "compare", plain, file, "--model", "omniglot")
			if err != nil {
				return count, err
			}
			if distance, err := distanceOf(found); err != nil || distance > 0.005 {
				return count, errors.Errorf("orientation %d as %s: found a distance of %v (%v), expected 0", orientation, extension, distance, err)
			}
			count++
		}
	}
	return count, nil
}

// attackLitter adds files to each class folder that published data sets have next to their
// images.
func (m material) attackLitter(ctx context.Context) (count int, err error) {
	var names []string
	for _, name := range []string{"GT-00000.csv", "readme.txt", "README", "annotation.xml", "labels.json", "Thumbs.db", ".DS_Store", "notes.md", "index.html", "box.mat", "LICENSE"} {
		names = append(names, name)
		for class := range 6 {
			if _, err := m.write([]byte("Filename;Width;Height\n1.png;12;12\n"), "litter", "bar"+strconv.Itoa(class), name); err != nil {
				return count, err
			}
		}
	}
	for class := range 6 {
		copied := exec.CommandContext(ctx, "cp", "-r", m.images(class)+"/.", filepath.Join(m.folder, "litter", "bar"+strconv.Itoa(class)))
		if text, err := copied.CombinedOutput(); err != nil {
			return count, errors.Wrapf(err, "copy: %s", text)
		}
	}
	found, err := m.accepted(ctx, "train", "--data", "litter", "--backbone", "small.toml", "--batch", "8", "--epochs", "1", "--out", "littered")
	if err == nil {
		err = found.says("ignored")
	}
	if err != nil {
		return count, err
	}
	if found, err = m.accepted(ctx, "embed", "litter", "--model", "littered", "--out", "litter.csv"); err == nil {
		err = found.says("ignored", "wrote 120 embeddings")
	}
	return 6 * len(names) * 2, err
}

// attackDescriptors limits the number of open files of the command.
func (m material) attackDescriptors(ctx context.Context) (count int, err error) {
	if _, err := exec.LookPath("sh"); err != nil {
		return 0, errors.New("found no sh, which is needed to limit file descriptors")
	}
	limited := func(limit string) func(*exec.Cmd) {
		return func(c *exec.Cmd) {
			c.Args = append([]string{"sh", "-c", `ulimit -n ` + limit + ` && exec "$0" "$@"`, m.likeness.path}, c.Args[1:]...)
			c.Path, _ = exec.LookPath("sh")
		}
	}
	limits := []string{"16", "24", "64"}
	if m.sample {
		limits = limits[:1]
	}
	for _, limit := range limits {
		for _, arguments := range [][]string{
			{"embed", "bars", "--model", m.whole, "--out", "few.npy"},
			{"near-duplicates", "bars", "--model", m.whole, "--threshold", "0.1", "--skip-broken", "--force"},
			{"train", "--data", "bars", "--backbone", "small.toml", "--batch", "8", "--epochs", "1", "--skip-broken", "--out", "few" + limit},
		} {
			found, err := m.askBy(ctx, limited(limit), arguments...)
			if err != nil {
				return count, err
			}
			if strings.Contains(found.err, "skipped") || found.code != 0 && !strings.Contains(found.err, "too many open files") {
				return count, errors.Errorf("%q with %s descriptors: exit code %d\n%s", found.command, limit, found.code, found.err)
			}
			count++
		}
	}
	return count, nil
}
