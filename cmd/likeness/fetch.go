package main

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/fetch"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/likeness-go/likeness/run"
	"github.com/pkg/errors"
)

// fetchCommand downloads a published data set or published weights.
type fetchCommand struct {
	Name string `arg:"" placeholder:"NAME" help:"Data set: ${published}. Weights trained on ImageNet: ${weights}."`
	To   string `placeholder:"DIR" help:"Destination folder. Default: the user's cache folder, where train --data NAME finds a data set."`
}

// Help returns the text of --help before the flags.
func (fetchCommand) Help() string {
	return `It downloads the files from where their authors publish them, verifies the size and the SHA-256 checksum of each, and prints the next command. Of weights, torchvision publishes the first eight digits of the checksum, in the name of the file, and these are verified. Existing files are only verified. After Ctrl-C or a lost connection, the same command resumes the download (NAME.part) if the server still has the same file.

Examples:
  likeness fetch omniglot
  likeness train --data omniglot
  likeness fetch cifar-10 --to data/cifar
  likeness fetch resnet18 --to .
  likeness import resnet18-f37072fd.pth --backbone resnet18 --out resnet18.safetensors`
}

// Run fetches.
func (f *fetchCommand) Run(c *console) error {
	set, err := publishedSet(f.Name)
	if err != nil {
		return err
	}
	folder, data := f.To, f.To
	if f.To == "" {
		data = set.Name
		if folder, err = datasets.CacheFolder(set.Name); err != nil {
			return errors.WithMessage(err, "choose another folder with --to DIR")
		}
	}
	if bytes := set.Size(); bytes > 0 {
		c.say("downloading  %s, %s, to %s", set.Title, size(bytes), folder)
	} else {
		c.say("downloading  %s to %s", set.Title, folder)
	}
	if err := fetchSet(c, set, folder); err != nil {
		return err
	}
	if set.Backbone != "" {
		c.say("the weights are complete and have the published checksum; next:")
		c.print("likeness import %s --backbone %s --out %s.safetensors", quoted(filepath.Join(folder, set.Files[0].Name)), set.Backbone, set.Name)
		return nil
	}
	c.say("the data set is complete and its checksums are correct; next:")
	c.print("likeness train --data %s", quoted(data))
	return nil
}

// publishedWeights is a variable for tests.
var publishedWeights = fetch.Weights

// publishedSet is the data set or the weights of a name.
func publishedSet(name string) (fetch.Set, error) {
	if set, err := publishedWeights(name); err == nil {
		return set, nil
	}
	set, err := run.PublishedSet(name)
	if err != nil {
		return set, wording.Unknown("data set or weights", name, slices.Concat(fetch.Names(), fetch.WeightNames()))
	}
	return set, nil
}

func fetchSet(c *console, set fetch.Set, folder string) error {
	shown, file := newCounter(c.err, unit{}), ""
	client := fetch.Client{
		OnProgress: func(f fetch.File, done int64) {
			if f.Name != file {
				shown.close()
				shown, file = newCounter(c.err, unit{what: f.Name, bytes: true}), f.Name
			}
			shown.show(done, f.Size)
		},
		OnRetry: func(f fetch.File, reason error, pause time.Duration) {
			shown.close()
			c.say("%s: %v: retrying in %v", f.Name, reason, pause)
		},
	}
	err := client.Fetch(c, set, folder)
	shown.close()
	if err != nil && c.Err() != nil {
		return errors.Errorf("interrupted: likeness fetch %s resumes the download", set.Name)
	}
	return err
}

// quoted is a path as a shell takes it for one word.
func quoted(path string) string {
	if strings.ContainsAny(path, " \t\n'\"$&;|<>()*?[]#~`!") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
