package main

import (
	"os"
	"strings"
	"time"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/fetch"
	"github.com/pkg/errors"
)

// fetchCommand downloads a published data set.
type fetchCommand struct {
	Name string `arg:"" placeholder:"NAME" help:"The data set: ${published}."`
	To   string `placeholder:"DIR" help:"The folder that it goes to. Without it: the user's cache folder, where train --data NAME finds it."`
}

// Help is what --help says beside the flags.
func (fetchCommand) Help() string {
	return `It downloads the files from where their authors publish them, checks size and SHA-256 of each, and prints the command to go on with. Files that are there already are only checked. Ctrl-C, or a connection that ends, loses nothing: the same command goes on where it stopped (NAME.part), if the server still has the same file.

Examples:
  likeness fetch omniglot
  likeness train --data omniglot
  likeness fetch cifar-10 --to data/cifar`
}

// publishedSet finds a data set by its name; tests have sets of their own.
var publishedSet = fetch.Named

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
			return errors.WithMessage(err, "--to DIR names another folder")
		}
	}
	c.say("fetching     %s, %s, to %s", set.Title, size(set.Size()), folder)
	if err := fetchSet(c, set, folder); err != nil {
		return err
	}
	c.say("all is there, and the checksums hold; go on with")
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
			c.say("%s: %v: trying again in %v", f.Name, reason, pause)
		},
	}
	err := client.Fetch(c, set, folder)
	shown.close()
	if err != nil && c.Err() != nil {
		return errors.Errorf("interrupted: likeness fetch %s goes on where it stopped", set.Name)
	}
	return err
}

// locate is the folder that a setting of data means: a path, or the name of a
// published data set that has been fetched.
func locate(data string) (string, error) {
	set, err := publishedSet(data)
	if err != nil {
		return data, nil // a path; whoever opens it tells what is wrong
	}
	if _, err := os.Stat(data); err == nil {
		return data, nil
	}
	if data == "mnist" {
		return datasets.FindMNIST("")
	}
	folder, err := datasets.CacheFolder(data)
	if err != nil {
		return "", err
	}
	if missing := set.Missing(folder); len(missing) > 0 {
		return "", errors.Errorf("data: there is no folder %s here, and %s lacks %s: likeness fetch %s downloads it", data, folder, strings.Join(missing, ", "), data)
	}
	return folder, nil
}

// quoted is a path as a shell takes it for one word.
func quoted(path string) string {
	if strings.ContainsAny(path, " \t\n'\"$&;|<>()*?[]#~`!") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
