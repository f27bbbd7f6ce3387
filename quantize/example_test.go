package quantize_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/quantize"
)

func ExampleFolder() {
	folder, err := os.MkdirTemp("", "quantize-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	if err := drawClasses(folder, 4, 8); err != nil {
		fmt.Println(err)
		return
	}
	size := imaging.Size{Height: 16, Width: 16, Channels: 1}
	model, err := likeness.New(backbone.Conv4(size, 8, true), heads.Cosine{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	made, report, err := quantize.Folder(context.Background(), model, folder, quantize.Options{Images: 16})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("ranges from %d images, %d others of %d classes measured\n", report.Images, report.Measured, report.Accuracy.Classes)
	fmt.Printf("similar embeddings: %v\n", report.Cosine > 0.99)
	err = made.Save(filepath.Join(folder, "int8.safetensors"))
	fmt.Println("saved:", err == nil)
	// Output:
	// ranges from 16 images, 16 others of 4 classes measured
	// similar embeddings: true
	// saved: true
}

// drawClasses writes images of bars, whose angle is the class.
func drawClasses(folder string, classes, each int) error {
	for class := range classes {
		for i := range each {
			r := random.New(1, "example", class, i)
			img := image.NewGray(image.Rect(0, 0, 16, 16))
			for y := range 16 {
				for x := range 16 {
					across := []int{x, y, (x + y) / 2, (x - y + 16) / 2}[class%4]
					level := 40 + r.IntN(60)
					if across > 5+r.IntN(2) && across < 10 {
						level += 120
					}
					img.SetGray(x, y, color.Gray{Y: uint8(level)})
				}
			}
			path := filepath.Join(folder, fmt.Sprint("class", class), fmt.Sprint(i, ".png"))
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				return err
			}
			file, err := os.Create(path)
			if err != nil {
				return err
			}
			if err := png.Encode(file, img); err != nil {
				return err
			}
			if err := file.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}
