package run_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/trainer"
)

// Train on some digits of MNIST for one epoch, with the defaults of data other than
// omniglot-small1.
func ExampleTrain() {
	temporary, err := os.MkdirTemp("", "run")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(temporary)
	settings := run.Settings{Data: "mnist", Limit: 256, TestLimit: 64, Epochs: 1, Out: filepath.Join(temporary, "digits")}
	observer := &run.Observer{Epoch: func(e trainer.Epoch) { fmt.Println("epoch", e.Epoch) }}
	result, err := run.Train(context.Background(), settings, observer)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Settings.Objective, "with", result.Settings.Head, "and margin", result.Settings.Margin)
	fmt.Println("tested on the digits", result.Settings.Unseen)
	_, measured := result.Report.Metrics["verification_auc"]
	fmt.Println("verification measured:", measured)
	// Output:
	// epoch 1
	// contrastive with l2 and margin 1
	// tested on the digits [7 8 9]
	// verification measured: true
}

// In a literal a zero is the default; in what Defaults returns it is zero.
func ExampleDefaults() {
	settings := run.Defaults()
	fmt.Println(settings.Backbone, settings.Objective, settings.LearningRate)
	settings.Rotation = 0 // scale, shear and translate, but do not rotate
	fmt.Println(settings.Check())
	// Output:
	// conv7 n-pair 0.003
	// <nil>
}

// A settings file: the same names as the flags, with underscores. Only a file has layers
// with settings of their own.
func ExampleLoad() {
	folder, err := os.MkdirTemp("", "settings")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "photos.toml")
	text := `
data = "photos"
size = "32x32"
backbone = "conv4"
batch_norm = true
objective = "batch-hard"
head = "cosine"
unseen = "none"
epochs = 50
learning_rate = 0.001
augment = 0.5

[[layers]]
name = "conv1"
rate_scale = 0.1 # a tenth of the learning rate
`
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		fmt.Println(err)
		return
	}
	settings, err := run.Load(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(settings.Objective, settings.Head, settings.Epochs, settings.Batch, settings.Layers[0].Name)
	// Output: batch-hard cosine 50 128 conv1
}
