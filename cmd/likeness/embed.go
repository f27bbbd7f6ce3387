package main

import (
	"fmt"
	"image"
	"os"
	"strings"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/explain"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// embedCommand computes the embeddings of images.
type embedCommand struct {
	Images []string `arg:"" placeholder:"IMAGE" help:"Images or folders of images."`
	Model  string   `placeholder:"MODEL" help:"Model file, run folder or name of a bundled model (${zoo}). Default: photo for photographs, omniglot for drawings."`
	Out    string   `required:"" placeholder:"FILE" help:"Output file: FILE.npy (NumPy) or FILE.csv."`
	skipFlag
	cacheFlags
}

// Help returns the text of --help before the flags.
func (embedCommand) Help() string {
	return `It writes one embedding per image, in the order of the arguments; folders are searched recursively, in the order of the file names. Other files in folders are ignored and listed; a file without an extension is an image if its content is one. A .npy file is an array of float32 of shape (images, features), for numpy.load. A .csv file has the header file,e0,e1,… and one row per image. With --skip-broken, images that cannot be read have no row; the message says which they are.

Example:
  likeness embed photos more/a.png --out embeddings.csv

` + cacheHelp
}

// Run computes the embeddings.
func (e *embedCommand) Run(c *console) error {
	return ranked(c, func() error { return e.run(c) })
}

func (e *embedCommand) run(c *console) error {
	if err := retrieval.CheckFileName(e.Out); err != nil {
		return errors.WithMessage(err, "--out")
	}
	files, err := imageFiles(c, e.Images)
	if err != nil {
		return err
	}
	if err := e.open(c); err != nil {
		return err
	}
	defer closeCache(c)
	model, _, err := loadModel(c, e.Model, files...)
	if err != nil {
		return err
	}
	collection, err := embedFiles(c, model, files, retrieval.Options{SkipBroken: e.SkipBroken})
	if err != nil {
		return err
	}
	if err := c.onRoot("write the embeddings", func() error { return collection.WriteFile(e.Out) }); err != nil {
		return err
	}
	c.say("wrote %d embeddings of %d features to %s%s", collection.Embeddings.Rows, collection.Embeddings.Columns, e.Out, fromCache(collection.Cached, collection.Embeddings.Rows))
	return nil
}

var errInterrupted = errors.New("interrupted: nothing is written")

// fromCache says how many embeddings were in the cache, if there were any.
func fromCache(cached, all int) string {
	if cached == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of %d embeddings from the cache", cached, all)
}

// embedFiles embeds files with the cache of the console, and with a progress bar if that takes
// long.
func embedFiles(c *console, model *likeness.Model, files []string, o retrieval.Options) (*retrieval.Collection, error) {
	shown := newCounter(c.err, unit{what: "images"})
	o.OnProgress, o.Cache, o.Communicator = shown.of, c.kept, collective.FromContext(c)
	collection, err := retrieval.Embed(c, model, files, o)
	shown.close()
	switch {
	case err != nil && c.Err() != nil:
		return nil, errInterrupted
	case err != nil:
		return nil, skippable(err, o.SkipBroken)
	}
	saySkipped(c, collection.Skipped)
	return collection, nil
}

// skipFlag is the flag of commands that read many images.
type skipFlag struct {
	SkipBroken bool `help:"Skip files that cannot be read as images, and list them."`
}

// skippable says that a file that cannot be read could be skipped.
func skippable(err error, skips bool) error {
	if !skips && errors.Is(err, retrieval.ErrBroken) {
		return fmt.Errorf("%w: remove it, or skip such files with --skip-broken", err)
	}
	return err
}

// maxNotes is how many skipped files are named.
const maxNotes = 20

// saySkipped lists the first files that were skipped, with the reasons, and counts the others.
func saySkipped(c *console, files []string) {
	for _, file := range files[:min(len(files), maxNotes)] {
		c.say("skipped      %s", file)
	}
	if more := len(files) - maxNotes; more > 0 {
		c.say("skipped      %d more files", more)
	}
}

// imageFiles are the paths, and for a folder the images in it and its folders; see
// imaging.Find. It reports ignored files.
func imageFiles(c *console, paths []string) ([]string, error) {
	const separator = "\x00" // which no path contains
	text, err := collective.FromContext(c).FromRoot("files", func() ([]byte, error) {
		found, err := imaging.Find(paths...)
		if err == nil {
			sayIgnored(c, found.Skipped)
		}
		return []byte(strings.Join(found.Files, separator)), err
	})
	if err != nil || len(text) == 0 {
		return nil, err
	}
	return strings.Split(string(text), separator), nil
}

// sayIgnored lists the first files of folders that are no images, and counts all.
func sayIgnored(c *console, ignored imaging.Skipped) {
	if ignored.Count == 0 {
		return
	}
	c.say("ignored      %v", ignored)
	for _, file := range ignored.First {
		c.say("             %s", file)
	}
	if more := ignored.Count - len(ignored.First); more > 0 {
		c.say("             and %d more", more)
	}
}

// compareCommand compares two images.
type compareCommand struct {
	A       string `arg:"" name:"first" placeholder:"A.png" help:"First image."`
	B       string `arg:"" name:"second" placeholder:"B.png" help:"Second image."`
	Model   string `placeholder:"MODEL" help:"Model file, run folder or name of a bundled model (${zoo}). Default: photo for photographs, omniglot for drawings."`
	Explain string `placeholder:"FILE.png" help:"Also show where the images match, as heat maps on both."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Help returns the text of --help before the flags.
func (compareCommand) Help() string {
	return `It prints the distance between two images and, if the model has a threshold, whether the distance is within it.

Example:
  likeness compare a.png b.png --model runs/mnist-contrastive-20250101-120000

Without --model it uses a bundled model: photo for photographs, or omniglot for drawings, which was trained on handwritten characters (dark ink on light paper, cropped to the ink). If the two images are not clearly of one kind, choose a model with --model.

--explain divides the cosine similarity, which is 1 minus the distance, over the places of the network's last feature map, and writes a picture of both images with heat maps; an existing file is replaced. The values of each map and the share of the biases add up to the similarity, and --json prints them. It needs the cosine distance and a network without activations after the last feature map.`
}

// answer is the JSON output of compare.
type answer struct {
	A         string   `json:"a"`
	B         string   `json:"b"`
	ABytes    string   `json:"a_base64,omitempty"` // see pathBytes
	BBytes    string   `json:"b_base64,omitempty"`
	Model     string   `json:"model"`
	Reason    string   `json:"model_reason,omitempty"` // why this bundled model was chosen
	Distance  float64  `json:"distance"`
	Threshold *float64 `json:"threshold"` // null if the model has none
	Same      *bool    `json:"same"`      // null if the model has no threshold

	Explanation *explain.Explanation `json:"explanation,omitempty"` // with --explain
}

// Run compares.
func (k *compareCommand) Run(c *console) error {
	if err := k.checkExplain(); err != nil {
		return errors.WithMessage(err, "--explain")
	}
	model, file, images, err := k.load(c)
	if err != nil {
		return err
	}
	a, b := images[0], images[1]
	comparison, err := model.Compare(a, b)
	if err != nil {
		return err
	}
	explanation, err := k.explain(c, model, a, b)
	if err != nil {
		return err
	}
	if k.JSON {
		found := answer{A: k.A, B: k.B, ABytes: pathBytes(k.A), BBytes: pathBytes(k.B), Model: file, Reason: c.reason, Distance: comparison.Distance, Explanation: explanation}
		if comparison.Calibrated {
			found.Threshold, found.Same = &comparison.Threshold, &comparison.Same
		}
		return c.printJSON(found)
	}
	text := "no threshold"
	switch {
	case comparison.Calibrated && comparison.Same:
		text = fmt.Sprintf("threshold %.4f  same", comparison.Threshold)
	case comparison.Calibrated:
		text = fmt.Sprintf("threshold %.4f  different", comparison.Threshold)
	}
	_, err = fmt.Fprintf(c.out, "distance %.4f  %s\n", comparison.Distance, text)
	return err
}

// load loads the model and reads the two images, which must suit it: a bundled model each by itself.
func (k *compareCommand) load(c *console) (model *likeness.Model, name string, images [2]image.Image, err error) {
	var preprocessing imaging.Preprocessing
	var choice zoo.Choice
	if k.Model != "" {
		if model, name, err = loadModel(c, k.Model); err == nil {
			preprocessing = model.Preprocessing
		}
	} else if choice, err = choose(c, []string{k.A, k.B}); err == nil {
		name = "zoo/" + choice.Name
		preprocessing, err = zoo.Preprocessing(choice.Name)
	}
	if err != nil {
		return nil, "", images, err
	}
	var traits [2]retrieval.Traits
	err = parallel.Each(c, parallel.MaxOpenFiles, 1+len(images), func(i int) (err error) {
		if i == 0 { // while the images are read, because it takes about as long
			if model == nil {
				model, name, err = run.LoadModel(name)
			}
			return err
		}
		i--
		if images[i], err = preprocessing.DecodeFile([]string{k.A, k.B}[i]); err == nil {
			traits[i] = retrieval.MeasureImage(preprocessing, images[i])
		}
		return err
	})
	if err != nil {
		return nil, "", images, err
	}
	for i := range images {
		if k.Model == "" {
			if err := suits(model, choice.Name, traits[i:i+1]); err != nil {
				return nil, "", images, err
			}
		} else if err := retrieval.CheckTraits(preprocessing, traits[i:i+1]); err != nil {
			c.say("warning: %s: %v: the distance means little", []string{k.A, k.B}[i], err)
		}
	}
	if k.Model == "" {
		c.sayChoice(choice)
	}
	return model, name, images, nil
}

// checkExplain refuses a file of --explain that is no PNG file, or one of the images.
func (k *compareCommand) checkExplain() error {
	if k.Explain == "" {
		return nil
	}
	if err := explain.CheckFileName(k.Explain); err != nil {
		return err
	}
	out, err := os.Stat(k.Explain)
	if err != nil {
		return nil // it is written, or that is an error of its own
	}
	for _, file := range []string{k.A, k.B} {
		if in, err := os.Stat(file); err == nil && os.SameFile(in, out) {
			return errors.Errorf("found %s, which is the image %s, expected another file", k.Explain, file)
		}
	}
	return nil
}

// explain writes the picture of --explain; the explanation is nil without it.
func (k *compareCommand) explain(c *console, model *likeness.Model, a, b image.Image) (*explain.Explanation, error) {
	if k.Explain == "" {
		return nil, nil
	}
	explainer, err := explain.New(model)
	if err != nil {
		return nil, errors.WithMessage(err, "--explain")
	}
	defer explainer.Close()
	explanation, err := explainer.Explain(c, a, b)
	if err != nil {
		return nil, err
	}
	if err := explanation.WriteFile(k.Explain, explain.Named{Image: a, Title: k.A}, explain.Named{Image: b, Title: k.B}); err != nil {
		return nil, err
	}
	c.say("wrote %s", k.Explain)
	return explanation, nil
}

// loadModel loads the model that a path means: a file, a run folder or a bundled model by
// its name. If it is empty, it is the bundled model for the kind of the images, and the
// console says which and why: never a run folder that happens to be there.
func loadModel(c *console, path string, images ...string) (*likeness.Model, string, error) {
	var model *likeness.Model
	var name string
	load := func() (err error) {
		if path == "" {
			var reason string
			if model, name, reason, err = chosenModel(c, images); err == nil {
				c.sayChoice(zoo.Choice{Name: strings.TrimPrefix(name, "zoo/"), Reason: reason})
			}
			return err
		}
		model, name, err = run.LoadModel(path)
		return errors.WithMessage(err, "--model")
	}
	ranks := collective.FromContext(c)
	found, err := ranks.FromRoot("model", func() ([]byte, error) {
		err := load()
		return []byte(name), err
	})
	if err == nil && !ranks.Root() {
		if path == "" {
			path = string(found)
		}
		err = load()
	}
	if _, err = ranks.Agree("models", false, err); err != nil {
		return nil, "", err
	}
	return model, name, nil
}

// sayChoice says which bundled model was chosen, and why.
func (c *console) sayChoice(choice zoo.Choice) {
	c.reason = choice.Reason
	c.say("model        %s: %s (--model chooses another)", choice.Name, choice.Reason)
}

// choose chooses the bundled model for the kind of the images.
func choose(c *console, images []string) (zoo.Choice, error) {
	choice, err := zoo.Choose(c, images, c.kept)
	if err != nil && c.Err() != nil {
		return choice, errInterrupted
	}
	if errors.Is(err, zoo.ErrUndecided) {
		err = errors.Errorf("%v: choose a model with --model (%s for photographs, %s for drawings; bundled: %s), or train one with likeness train", err, zoo.Photo, zoo.Default, strings.Join(zoo.Names(), ", "))
	}
	return choice, err
}

// chosenModel loads the bundled model for the kind of the images, which must suit them, and
// says why.
func chosenModel(c *console, images []string) (model *likeness.Model, name, reason string, err error) {
	choice := zoo.Choice{Name: zoo.Default, Reason: "the default, for drawings"}
	if len(images) > 0 {
		if choice, err = choose(c, images); err != nil {
			return nil, "", "", err
		}
	}
	if model, name, err = run.LoadModel("zoo/" + choice.Name); err != nil {
		return nil, "", "", err
	}
	traits, err := examine(c, model, images)
	if err != nil {
		return nil, "", "", err
	}
	return model, name, choice.Reason, suits(model, choice.Name, traits)
}

// suits refuses images that a bundled model is not made for.
func suits(model *likeness.Model, name string, traits []retrieval.Traits) error {
	err := retrieval.CheckTraits(model.Preprocessing, traits)
	if err == nil {
		return nil
	}
	return errors.Errorf("the images do not suit the model zoo/%s: %v; choose another model with --model (bundled: %s), train one with likeness train, or use this one with --model %s", name, err, strings.Join(zoo.Names(), ", "), name)
}

// examine measures some of the images, for what model they are. An image that cannot be
// opened is an error.
func examine(c *console, model *likeness.Model, images []string) ([]retrieval.Traits, error) {
	traits, err := retrieval.MeasureFiles(c, model.Preprocessing, images, maxExamined, c.kept)
	if err != nil && c.Err() != nil {
		err = errInterrupted
	}
	return traits, err
}
