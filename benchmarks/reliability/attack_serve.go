package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pkg/errors"
)

// attackServe sends images with many pixels in few bytes.
func (m material) attackServe(ctx context.Context) (count int, err error) {
	var deep bytes.Buffer
	if err := png.Encode(&deep, image.NewGray16(image.Rect(0, 0, 4096, 4096))); err != nil {
		return 0, errors.WithStack(err)
	}
	form, kind, err := formOf(nil, "image", slicesOf(deep.Bytes(), 32)...)
	if err != nil {
		return 0, err
	}
	body := form.Bytes()
	tiles, kindOfTiles, err := formOf(nil, "image", tiledTIFF(4096, 16))
	if err != nil {
		return 0, err
	}
	tiled := tiles.Bytes()
	pixels, kindOfTiny, err := formOf(nil, "image", tiledTIFF(4096, 1))
	if err != nil {
		return 0, err
	}
	tiny := pixels.Bytes()
	good, kindOfGood, err := formOf(nil, "image", mustPNG(character(64, upright)))
	if err != nil {
		return 0, err
	}
	small := good.Bytes()
	var logged func() string // called after the server has ended, because answers are logged after they are sent
	err = m.serving(ctx, []string{"--model", "omniglot"}, func(address string, said func() string) error {
		logged = said
		failures := make([]error, 8)
		var wait sync.WaitGroup
		for i := range failures {
			wait.Go(func() {
				content, kind := body, kind
				switch i % 3 {
				case 1:
					content, kind = tiled, kindOfTiles
				case 2:
					content, kind = tiny, kindOfTiny
				}
				start := time.Now()
				status, answer, err := post(ctx, address+"/v1/embed", kind, bytes.NewReader(content))
				if err != nil || status != http.StatusRequestEntityTooLarge && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable && status != http.StatusUnprocessableEntity {
					failures[i] = errors.Errorf("request %d: found status %d and %.200s (%v)", i, status, answer, err)
				}
				if took := time.Since(start); took > 20*time.Second {
					failures[i] = errors.Errorf("request %d was refused after %v", i, took)
				}
			})
		}
		wait.Wait()
		for _, failure := range failures {
			if failure != nil {
				return failure
			}
			count++
		}
		// The server still answers valid requests.
		status, answer, err := post(ctx, address+"/v1/embed", kindOfGood, bytes.NewReader(small))
		if err != nil || status != http.StatusOK {
			return errors.Errorf("a valid request afterwards: found status %d and %.200s (%v)", status, answer, err)
		}
		return nil
	})
	if err != nil {
		return count, err
	}
	log := logged()
	if found := strings.Count(log, "code=200"); found != 1 {
		return count, errors.Errorf("the log has %d successful requests, expected 1:\n%s", found, log)
	}
	return count, nil
}

// serving runs likeness serve during a call of use; said returns the log.
func (m material) serving(ctx context.Context, arguments []string, use func(address string, said func() string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := m.likeness.command(ctx, m.folder, append([]string{"serve", "--address", "127.0.0.1:0"}, arguments...)...)
	var log lockedBuffer
	c.Stderr = &log
	output, err := c.StdoutPipe()
	if err != nil {
		return errors.WithStack(err)
	}
	if err := c.Start(); err != nil {
		return errors.WithStack(err)
	}
	line := make([]byte, 256)
	n, err := output.Read(line)
	if err == nil {
		err = use(strings.TrimSuffix(strings.TrimSpace(string(line[:n])), "/"), log.String)
	}
	_ = c.Process.Signal(syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, output)
	if ended := c.Wait(); err == nil {
		err = ended
	}
	return errors.Wrapf(err, "likeness serve, which logged\n%s", log.String())
}

// lockedBuffer is a buffer for concurrent use.
type lockedBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

func post(ctx context.Context, address, kind string, body io.Reader) (status int, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, body)
	if err != nil {
		return 0, "", errors.WithStack(err)
	}
	request.Header.Set("Content-Type", kind)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", errors.WithStack(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), errors.WithStack(err)
}

// formOf returns a form with fields and files, and its media type.
func formOf(fields map[string][]string, name string, files ...[]byte) (*bytes.Buffer, string, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for field, values := range fields {
		for _, value := range values {
			if err := w.WriteField(field, value); err != nil {
				return nil, "", errors.WithStack(err)
			}
		}
	}
	for i, content := range files {
		part, err := w.CreateFormFile(name, strconv.Itoa(i)+".png")
		if err != nil {
			return nil, "", errors.WithStack(err)
		}
		if _, err := part.Write(content); err != nil {
			return nil, "", errors.WithStack(err)
		}
	}
	return &b, w.FormDataContentType(), errors.WithStack(w.Close())
}

func slicesOf(content []byte, n int) [][]byte {
	copies := make([][]byte, n)
	for i := range copies {
		copies[i] = content
	}
	return copies
}

func mustPNG(img image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err) // encoding to memory cannot fail
	}
	return b.Bytes()
}

// tiledTIFF returns a gray TIFF of side × side pixels in tiles of tile × tile pixels, all of
// which refer to the same few bytes of the file.
func tiledTIFF(side, tile uint32) []byte {
	tiles := (side / tile) * (side / tile)
	tiles = min(tiles, 1<<20) // number of offsets in the file
	const entries = 11
	header := []byte("II*\x00\x08\x00\x00\x00")
	body := binary.LittleEndian.AppendUint16(nil, entries)
	offsets := uint32(len(header)) + 2 + 12*entries + 4
	entry := func(tag, kind uint16, count, value uint32) {
		body = binary.LittleEndian.AppendUint16(body, tag)
		body = binary.LittleEndian.AppendUint16(body, kind)
		body = binary.LittleEndian.AppendUint32(body, count)
		body = binary.LittleEndian.AppendUint32(body, value)
	}
	const short, long = 3, 4
	entry(256, long, 1, side)
	entry(257, long, 1, side)
	entry(258, short, 1, 8)
	entry(259, short, 1, 1)
	entry(262, short, 1, 1)
	entry(277, short, 1, 1)
	entry(322, long, 1, tile)
	entry(323, long, 1, tile)
	entry(324, long, tiles, offsets)
	entry(325, long, tiles, offsets+4*tiles)
	entry(339, short, 1, 1)
	body = binary.LittleEndian.AppendUint32(body, 0)
	for range tiles {
		body = binary.LittleEndian.AppendUint32(body, 0)
	}
	for range tiles {
		body = binary.LittleEndian.AppendUint32(body, tile*tile)
	}
	return append(header, body...)
}
