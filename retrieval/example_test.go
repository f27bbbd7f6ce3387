package retrieval_test

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"log"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/zoo"
)

// A folder with a ring twice, at two sizes, and a cross.
func Example() {
	folder, err := os.MkdirTemp("", "drawings")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	files, err := writeDrawings(folder)
	if err != nil {
		log.Fatal(err)
	}
	model, err := zoo.Load(zoo.Default)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	collection, err := retrieval.Embed(ctx, model, files, retrieval.Options{})
	if err != nil {
		log.Fatal(err)
	}
	pairs, err := collection.Near(ctx, *model.Threshold, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, group := range retrieval.Groups(pairs) {
		for _, member := range group {
			fmt.Println(filepath.Base(collection.Files[member.Image]))
		}
	}
	// Output:
	// large ring.png
	// ring.png
}

// The images of a collection that are nearest to an image file.
func ExampleCollection_NearestFile() {
	folder, err := os.MkdirTemp("", "drawings")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	files, err := writeDrawings(folder)
	if err != nil {
		log.Fatal(err)
	}
	model, err := zoo.Load(zoo.Default)
	if err != nil {
		log.Fatal(err)
	}
	collection, err := retrieval.Embed(context.Background(), model, files, retrieval.Options{})
	if err != nil {
		log.Fatal(err)
	}
	query := filepath.Join(folder, "ring.png") // is in the collection, and is left out
	matches, err := collection.NearestFile(model, query, 2)
	if err != nil {
		log.Fatal(err)
	}
	for _, match := range matches {
		fmt.Println(filepath.Base(collection.Files[match.Image]))
	}
	// Output:
	// large ring.png
	// cross.png
}

// The nearest of given embeddings to a query.
func ExampleCollection_Nearest() {
	embeddings, err := evaluate.FromRows([][]float32{{0, 0}, {3, 4}, {1, 0}})
	if err != nil {
		log.Fatal(err)
	}
	euclidean, err := heads.L2{}.Distance(nil)
	if err != nil {
		log.Fatal(err)
	}
	collection := retrieval.Collection{Embeddings: embeddings, Metric: euclidean}
	matches, err := collection.Nearest([]float32{0, 0}, 2)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(matches)
	// Output: [{0 0} {2 1}]
}

// writeDrawings writes the drawings of the examples and returns their paths.
func writeDrawings(folder string) ([]string, error) {
	var files []string
	for _, f := range []struct {
		name string
		img  image.Image
	}{{"cross.png", drawings["cross"].on(105, 0, 0)}, {"large ring.png", drawings["ring"].on(200, 0, 0)}, {"ring.png", drawings["ring"].on(105, 0, 0)}} {
		file, err := os.Create(filepath.Join(folder, f.name))
		if err != nil {
			return nil, err
		}
		if err := png.Encode(file, f.img); err != nil {
			return nil, err
		}
		if err := file.Close(); err != nil {
			return nil, err
		}
		files = append(files, file.Name())
	}
	return files, nil
}
