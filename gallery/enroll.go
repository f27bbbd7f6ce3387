package gallery

import (
	"context"
	"image"
	"path/filepath"

	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Enroll adds examples to a class, which comes into being with its first. When it
// returns without an error they are on the disk, all of them; with one, none is.
// An image that is enrolled twice is two examples.
func (g *Gallery) Enroll(class string, images ...image.Image) error {
	return g.wrap(g.enroll(class, images), "enroll")
}

func (g *Gallery) enroll(class string, images []image.Image) error {
	if len(images) == 0 {
		return errors.Errorf("class %q: found no images", class)
	}
	if err := g.checkClass(class); err != nil {
		return err
	}
	embeddings, err := g.embed(images)
	if err != nil {
		return errors.Wrapf(err, "class %q", class)
	}
	return g.enrollEmbeddings(class, embeddings)
}

// embed is the model's embeddings of images, which may be of any type.
func (g *Gallery) embed(images []image.Image) (embeddings [][]float32, err error) {
	defer recovered(&err)
	if !g.isOpen() {
		return nil, errNotOpened
	}
	return g.model.Embed(images...)
}

func (g *Gallery) enrollEmbeddings(class string, embeddings [][]float32) error {
	records := make([]record, len(embeddings))
	for i, embedding := range embeddings {
		records[i] = record{class: class, embedding: embedding}
	}
	return g.add(records)
}

// EnrollFiles is Enroll for image files, whose paths the examples keep as their
// sources. It ends, and enrols nothing, when the context does.
func (g *Gallery) EnrollFiles(ctx context.Context, class string, paths ...string) error {
	if len(paths) == 0 {
		return g.wrap(errors.Errorf("class %q: found no images", class), "enroll")
	}
	files := make([]classFile, len(paths))
	for i, path := range paths {
		files[i] = classFile{class, path}
	}
	return g.wrap(g.enrollFiles(ctx, files), "enroll")
}

// EnrollFolder enrols the images in a folder's folders, each a class that is
// called after it; those in folders of folders are of a class such as
// "Greek/alpha". Hidden files and what is no image are passed over; see imaging.Find.
// An image in the folder itself is an error, and so is one that cannot be read:
// then none is enrolled.
func (g *Gallery) EnrollFolder(ctx context.Context, path string) (classes, examples int, err error) {
	files, err := classFiles(path)
	if err == nil {
		err = g.enrollFiles(ctx, files)
	}
	if err != nil {
		return 0, 0, g.wrap(err, "enroll folder "+path)
	}
	names := map[string]bool{}
	for _, file := range files {
		names[file.class] = true
	}
	return len(names), len(files), nil
}

// classFile is an image file and its class.
type classFile struct{ class, path string }

func classFiles(folder string) (files []classFile, err error) {
	found, err := imaging.Find(folder)
	if errors.Is(err, imaging.ErrNoImages) {
		err = errors.WithMessage(err, "expected a folder of images for each class")
	}
	if err != nil {
		return nil, err
	}
	for _, path := range found.Files {
		class, err := filepath.Rel(folder, filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		if class == "." {
			return nil, errors.Errorf("the image %s lies outside the folders of the classes", path)
		}
		files = append(files, classFile{filepath.ToSlash(class), path})
	}
	return files, nil
}

// enrollFiles reads and embeds some images at a time, so that there may be many.
func (g *Gallery) enrollFiles(ctx context.Context, files []classFile) error {
	if ctx == nil {
		return errNoContext
	}
	for _, file := range files { // before anything takes long
		if err := g.checkClass(file.class); err != nil {
			return errors.WithMessagef(err, "image %q", file.path)
		}
	}
	const some = 64
	records := make([]record, 0, len(files))
	for from := 0; from < len(files); from += some {
		part := files[from:min(from+some, len(files))]
		pixels := make([][]uint8, len(part))
		for i, file := range part {
			if err := ctx.Err(); err != nil {
				return errors.Wrap(err, "nothing is enrolled")
			}
			img, err := imaging.DecodeFile(file.path)
			if err != nil {
				return err
			}
			pixels[i] = g.model.Preprocessing.Pixels(img)
		}
		embeddings, err := g.model.EmbedPixels(pixels)
		if err != nil {
			return err
		}
		for i, file := range part {
			records = append(records, record{class: file.class, example: Example{Source: file.path}, embedding: embeddings[i]})
		}
		g.options.progress(len(records), len(files))
	}
	return g.add(records)
}

// add puts records into the file and then into memory.
func (g *Gallery) add(records []record) error {
	if err := g.change(); err != nil {
		return err
	}
	defer g.writing.Unlock()
	time := now()
	for i := range records {
		records[i].example.Time = time
		if err := g.checkClass(records[i].class); err != nil {
			return err
		}
		if err := g.contents.vectors.Check(records[i].embedding); err != nil {
			return errors.Wrapf(err, "class %q: image %d", records[i].class, i)
		}
	}
	if err := g.store.put(records); err != nil {
		return err
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	for _, r := range records {
		if err := g.contents.add(r); err != nil {
			return err
		}
	}
	return nil
}
