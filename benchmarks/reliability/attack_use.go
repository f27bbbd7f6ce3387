package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
)

// attackModels uses other files and damaged models as the model.
func (m material) attackModels(ctx context.Context) (count int, err error) {
	a, err := m.picture("a.png", character(64, upright))
	if err != nil {
		return 0, err
	}
	content, err := os.ReadFile(filepath.Join(m.whole, "model.safetensors"))
	if err != nil {
		return 0, errors.WithStack(err)
	}
	files := map[string][]byte{
		"empty": nil, "text": []byte("no model"), "page": []byte("<!DOCTYPE html><html></html>"), "zip": []byte("PK\x03\x04 and so on"),
		"cut": content[:len(content)/2], "header alone": content[:8], "zeros": make([]byte, 4096),
	}
	if files["picture"], err = os.ReadFile(a); err != nil {
		return 0, errors.WithStack(err)
	}
	for _, value := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		file, err := safetensors.Read(bytes.NewReader(content), int64(len(content)), "model")
		if err != nil {
			return 0, err
		}
		file.Tensors[0].Data.([]float32)[0] = value
		if err := file.Seal(); err != nil { // with a correct checksum, as a program that saves such weights would
			return 0, err
		}
		path := filepath.Join(m.folder, "sealed.safetensors")
		if err := safetensors.WriteFile(path, file); err != nil {
			return 0, err
		}
		if files[fmt.Sprint("weight of ", value)], err = os.ReadFile(path); err != nil {
			return 0, errors.WithStack(err)
		}
	}
	for name, content := range files {
		path, err := m.write(content, "models", name)
		if err != nil {
			return count, err
		}
		for _, arguments := range [][]string{
			{"compare", a, a, "--model", path}, {"embed", a, "--out", "e.npy", "--model", path}, {"export", "--onnx", "n.onnx", "--model", path},
			{"enroll", "x", a, "--gallery", "of-no-model.gallery", "--model", path},
		} {
			if err := m.refused(ctx, []string{name}, arguments...); err != nil {
				return count, err
			}
			count++
		}
	}
	for _, left := range []string{"e.npy", "n.onnx", "of-no-model.gallery"} {
		if exists(filepath.Join(m.folder, left)) {
			return count, errors.Errorf("found %s after an error, expected no file", left)
		}
	}
	return count, nil
}

// attackChoice creates a newer run folder, which no command may use by default.
func (m material) attackChoice(ctx context.Context) (count int, err error) {
	drawing, err := m.picture("drawing.png", character(64, upright))
	if err != nil {
		return 0, err
	}
	if _, err := m.picture(filepath.Join("drawings", "a.png"), character(64, upright)); err != nil {
		return 0, err
	}
	if _, err := m.picture(filepath.Join("drawings", "b.png"), character(72, upright)); err != nil {
		return 0, err
	}
	if _, err := m.accepted(ctx, m.short(filepath.Join(m.folder, "runs", "newest"))...); err != nil {
		return 0, err
	}
	for _, arguments := range [][]string{
		{"compare", drawing, drawing}, {"search", drawing, "--in", "drawings"}, {"near-duplicates", "drawings"},
		{"embed", drawing, "--out", "drawing.npy"}, {"enroll", "f", drawing, "--gallery", "chosen.gallery"}, {"identify", drawing, "--gallery", "chosen.gallery"},
	} {
		found, err := m.accepted(ctx, arguments...)
		if err != nil {
			return count, err
		}
		if err := found.says("omniglot"); err != nil {
			return count, err
		}
		if strings.Contains(found.err, "newest") {
			return count, errors.Errorf("%q used the newest run: %s", found.command, found.err)
		}
		count++
	}
	// Neither a photograph nor a drawing: an eighth of it is colored.
	photograph := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i := range photograph.Pix {
		photograph.Pix[i] = 255
		if i < len(photograph.Pix)/8 {
			photograph.Pix[i] = []uint8{200, 40, 30, 255}[i%4]
		}
	}
	photo, err := m.picture(filepath.Join("photos", "photo.png"), photograph)
	if err != nil {
		return count, err
	}
	if _, err := m.picture(filepath.Join("photos", "other.png"), photograph); err != nil {
		return count, err
	}
	for _, arguments := range [][]string{
		{"compare", photo, photo}, {"search", photo, "--in", "photos"}, {"near-duplicates", "photos"}, {"embed", photo, "--out", "photo.npy"},
	} {
		found, err := m.ask(ctx, arguments...)
		if err == nil {
			err = found.isRefusal("neither clearly photographs nor clearly drawings")
		}
		if err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}

// hostileNames have control characters, change the direction of text, or are not UTF-8.
var hostileNames = []string{
	"alice\nbob", "alice\rbob", "alice\x1b[2J", "alice\x00"[:5] + "\x07", "alice\u202egnp", "alice\u2066x\u2069", "alice\u2028bob", "alice\u2029bob",
	"alice\u0085bob", "M\xfcller", "M\xf6ller", "\xff", "alice\x7f", " ", "\t",
}

// attackNames enrolls under invalid class names, with the command and over HTTP.
func (m material) attackNames(ctx context.Context) (count int, err error) {
	drawing, err := m.picture("named.png", character(64, upright))
	if err != nil {
		return 0, err
	}
	gallery := filepath.Join(m.folder, "names.gallery")
	if _, err := m.accepted(ctx, "enroll", "Müller", drawing, "--gallery", gallery, "--model", m.model); err != nil {
		return 0, err
	}
	for _, name := range hostileNames {
		found, err := m.ask(ctx, "enroll", name, drawing, "--gallery", gallery)
		if err == nil {
			err = found.isRefusal()
		}
		if err != nil {
			return count, err
		}
		if strings.Count(strings.TrimSpace(found.err), "\n") > 1 || strings.ContainsAny(found.err, "\x1b\r\u202e\u2066\u2028\u0085") {
			return count, errors.Errorf("%q: found the name without escapes in the error: %q", name, found.err)
		}
		count++
	}
	content, err := os.ReadFile(drawing)
	if err != nil {
		return count, errors.WithStack(err)
	}
	err = m.serving(ctx, []string{"--gallery", gallery}, func(address string, _ func() string) error {
		// The first requests have a valid name, to show that the others fail because of their names.
		for i, name := range append([]string{"Zoë"}, hostileNames...) {
			answered := func(status int) bool { return status/100 == 4 && i > 0 || status/100 == 2 && i == 0 }
			body := map[string]any{"class": name, "image": []string{base64.StdEncoding.EncodeToString(content)}}
			text, err := json.Marshal(body)
			if err != nil {
				return errors.WithStack(err)
			}
			// json.Marshal replaces invalid UTF-8 by U+FFFD; restore the bytes.
			text = bytes.Replace(text, []byte(`\ufffd`), []byte(strings.Trim(name, "Mler")), 1)
			status, answer, err := post(ctx, address+"/v1/enroll", "application/json", bytes.NewReader(text))
			if err != nil || !answered(status) {
				return errors.Errorf("%q over HTTP: found status %d and %s (%v)", name, status, answer, err)
			}
			form, kind, err := formOf(map[string][]string{"class": {name}}, "image", content)
			if err != nil {
				return err
			}
			if status, answer, err = post(ctx, address+"/v1/enroll", kind, form); err != nil || !answered(status) {
				return errors.Errorf("%q in a form: found status %d and %s (%v)", name, status, answer, err)
			}
			if i > 0 {
				count += 2
			}
		}
		return nil
	})
	if err != nil {
		return count, err
	}
	found, err := m.accepted(ctx, "classes", "--gallery", gallery)
	if err == nil && (!strings.Contains(found.out, "Müller") || strings.Contains(found.out, "alice")) {
		err = errors.Errorf("found the classes %q, expected only Müller", found.out)
	}
	return count, err
}

// attackEnroll lets many processes create one gallery concurrently.
func (m material) attackEnroll(ctx context.Context) (count int, err error) {
	drawing, err := m.picture("enrolled.png", character(64, upright))
	if err != nil {
		return 0, err
	}
	for round := range 5 {
		gallery := filepath.Join(m.folder, "together"+strconv.Itoa(round)+".gallery")
		const many = 6
		failures := make([]error, many)
		var wait sync.WaitGroup
		for i := range many {
			wait.Go(func() {
				_, failures[i] = m.accepted(ctx, "enroll", "class"+strconv.Itoa(i), drawing, "--gallery", gallery, "--model", "omniglot")
			})
		}
		wait.Wait()
		for _, failure := range failures {
			if failure != nil {
				return count, failure
			}
			count++
		}
		found, err := m.accepted(ctx, "classes", "--gallery", gallery)
		if err == nil && strings.Count(found.out, "class") < many {
			err = errors.Errorf("found the classes\n%s, expected %d", found.out, many)
		}
		if err != nil {
			return count, err
		}
	}
	return count, nil
}

// attackEnvironment sets the variables that choose kernels to invalid values.
func (m material) attackEnvironment(ctx context.Context) (count int, err error) {
	drawing, err := m.picture("environment.png", character(64, upright))
	if err != nil {
		return 0, err
	}
	for _, variable := range []string{"LIKENESS_INSTRUCTIONS", "LIKENESS_WINOGRAD", "LIKENESS_FOURIER", "LIKENESS_PAIRS"} {
		for _, value := range []string{"bogus", "AVX2 ", "1", "OFF!"} {
			found, err := m.askBy(ctx, func(c *exec.Cmd) { c.Env = append(os.Environ(), variable+"="+value) }, "compare", drawing, drawing, "--model", "omniglot")
			if err == nil {
				err = found.isRefusal(variable, quoted(value))
			}
			if err != nil {
				return count, err
			}
			count++
		}
	}
	return count, nil
}
