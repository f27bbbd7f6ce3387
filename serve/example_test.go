package serve_test

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"log"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/likeness-go/likeness/serve"
	"github.com/likeness-go/likeness/zoo"
)

// A program serves an embedded model under /likeness/.
func Example() {
	model, err := zoo.Load(zoo.Default)
	if err != nil {
		log.Fatal(err)
	}
	server, err := serve.New(model, serve.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	mux := http.NewServeMux()
	mux.Handle("/likeness/", http.StripPrefix("/likeness", server))

	web := httptest.NewServer(mux)
	defer web.Close()
	fmt.Println(compare(web.URL+"/likeness/v1/compare", cross(50), cross(60)))
	// Output: the same: true
}

// compare posts two images as a form.
func compare(url string, a, b image.Image) string {
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	go func() {
		for field, img := range map[string]image.Image{"a": a, "b": b} {
			if part, err := form.CreateFormFile(field, field+".png"); err == nil {
				_ = png.Encode(part, img)
			}
		}
		writer.CloseWithError(form.Close())
	}()
	response, err := http.Post(url, form.FormDataContentType(), reader)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	return fmt.Sprint("the same: ", strings.Contains(string(answer), `"same":true`))
}

// cross draws a black cross on white with its center at a position.
func cross(middle int) image.Image {
	img := image.NewGray(image.Rect(0, 0, 105, 105))
	for y := range 105 {
		for x := range 105 {
			gray := color.Gray{Y: 255}
			across, down := max(x-middle, middle-x), max(y-middle, middle-y)
			if min(across, down) < 3 && max(across, down) < 30 {
				gray.Y = 0
			}
			img.SetGray(x, y, gray)
		}
	}
	return img
}
