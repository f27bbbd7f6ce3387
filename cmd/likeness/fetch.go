package main

import (
	"strings"
	"time"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/fetch"
	"github.com/likeness-go/likeness/run"
	"github.com/pkg/errors"
)

// fetchCommand downloads a published data set.
type fetchCommand struct {
	Name string `arg:"" placeholder:"NAME" help:"Data set: ${published}."`
	To   string `placeholder:"DIR" help:"Destination folder. Default: the user's cache folder, where train --data NAME finds it."`
}

// Help returns the text of --help before the flags.
func (fetchCommand) Help() string {
	return `It downloads the files from where their authors publish them, verifies the size and the SHA-256 checksum of each, and prints the next command. Existing files are only verified. After Ctrl-C or a lost connection, the same command resumes the download (NAME.part) if the server still has the same file.

Examples:
  likeness fetch omniglot
  likeness train --data omniglot
  likeness fetch cifar-10 --to data/cifar`
}

// Run fetches.
func (f *fetchCommand) Run(c *console) error {
	set, err := run.PublishedSet(f.Name)
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
	c.say("downloading  %s, %s, to %s", set.Title, size(set.Size()), folder)
	if err := fetchSet(c, set, folder); err != nil {
		return err
	}
	c.say("the data set is complete and its checksums are correct; next:")
	c.print("likeness train --data %s", quoted(data))
	return nil
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
