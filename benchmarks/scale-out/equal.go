package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// equalModels trains on 1, 2, 4 and 8 ranks and compares the model files.
func equalModels(ctx context.Context, o *options) (string, error) {
	folder, err := os.MkdirTemp("", "equal-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(folder)
	data := o.data
	if data == "" {
		data = filepath.Join(folder, "photos")
		if err := pictures(data, 24, 12, 240); err != nil {
			return "", err
		}
	}
	var text strings.Builder
	text.WriteString("SHA-256 of `model.safetensors` after training in 8 parts on one machine, by the number of ranks.\n\n| job | ranks | SHA-256 | time |\n|---|---|---|---|\n")
	jobs := []struct {
		name  string
		flags []string
	}{
		{"`likeness train`", []string{"--batch-parts", "8", "--threads", "1"}},
		{"fine-tuning of photographs", []string{"--data", data, "--epochs", "2", "--batch-parts", "8", "--threads", "1"}},
		{"resnet18 with batch normalization and augmentation, 64 px", []string{"--data", data, "--from", "none", "--backbone", "resnet18", "--size", "64x64x3", "--objective", "multi-similarity", "--epochs", "1", "--steps-per-epoch", "6", "--batch", "64", "--batch-parts", "8", "--threads", "1"}},
	}
	if o.epochs > 0 {
		jobs[0].flags = append(jobs[0].flags, "--epochs", fmt.Sprint(o.epochs))
		jobs[0].name = fmt.Sprintf("`likeness train --epochs %d`", o.epochs)
	}
	for i, job := range jobs {
		first := ""
		for _, ranks := range []int{1, 2, 4, 8} {
			fmt.Fprintf(os.Stderr, "%s on %d ranks\n", job.name, ranks)
			out := filepath.Join(folder, fmt.Sprint(i, "-", ranks))
			start := time.Now()
			if err := command(ctx, "", o.job(ranks, append([]string{o.program, "train", "--out", out}, job.flags...)...)...).run(); err != nil {
				return "", err
			}
			took := time.Since(start)
			digest, err := digestOf(out)
			if err != nil {
				return "", err
			}
			if first == "" {
				first = digest
			}
			if digest != first {
				return "", errors.Errorf("%s: the model of %d ranks has the SHA-256 %s, that of one rank %s", job.name, ranks, digest, first)
			}
			fmt.Fprintf(&text, "| %s | %d | %s… | %.0f s |\n", job.name, ranks, digest[:16], took.Seconds())
		}
	}
	text.WriteString("\nThe times include opening the data and the test on rank 0; 4 and 8 ranks share two processors.")
	return text.String(), nil
}

func digestOf(run string) (string, error) {
	data, err := os.ReadFile(filepath.Join(run, "model.safetensors"))
	return fmt.Sprintf("%x", sha256.Sum256(data)), err
}

// pictures writes JPEG files of colored rectangles by class, each at another place and with noise.
func pictures(folder string, classes, each, side int) error {
	for class := range classes {
		own := filepath.Join(folder, fmt.Sprintf("class%02d", class))
		if err := os.MkdirAll(own, 0o777); err != nil {
			return err
		}
		kind := random.New(1, "class", class)
		var colors [3]color.RGBA
		for i := range colors {
			colors[i] = color.RGBA{uint8(kind.IntN(256)), uint8(kind.IntN(256)), uint8(kind.IntN(256)), 255}
		}
		for n := range each {
			var data bytes.Buffer
			if err := jpeg.Encode(&data, picture(colors, side, random.New(1, "picture", class, n)), nil); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(own, fmt.Sprintf("%02d.jpg", n)), data.Bytes(), 0o666); err != nil {
				return err
			}
		}
	}
	return nil
}

func picture(colors [3]color.RGBA, side int, r *rand.Rand) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range img.Pix {
		img.Pix[i] = uint8(96 + r.IntN(64))
	}
	for _, c := range colors {
		x, y := r.IntN(side*2/3), r.IntN(side*2/3)
		for dy := range side / 3 {
			for dx := range side / 3 {
				img.SetRGBA(x+dx, y+dy, c)
			}
		}
	}
	return img
}

// killedRanks kills ranks of a small training and resumes it, until it is finished, again and again.
func killedRanks(ctx context.Context, o *options) (string, error) {
	folder, err := os.MkdirTemp("", "kills-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(folder)
	flags := []string{"--backbone", "conv4", "--width", "8", "--objective", "n-pair", "--epochs", "12", "--steps-per-epoch", "12", "--batch", "64", "--threads", "1", "--batch-parts", "8"}
	undisturbed := filepath.Join(folder, "undisturbed")
	start := time.Now()
	if err := command(ctx, "", o.job(4, append([]string{o.program, "train", "--out", undisturbed}, flags...)...)...).run(); err != nil {
		return "", err
	}
	span := time.Since(start)
	want, err := digestOf(undisturbed)
	if err != nil {
		return "", err
	}
	chance := random.New(1, "kills")
	ranks := []int{1, 2, 4, 8}
	kills, trainings, early := 0, 0, 0
	var longest time.Duration
	messages := map[string]int{}
	for kills < o.kills {
		trainings++
		out := filepath.Join(folder, fmt.Sprint("killed-", trainings))
		for {
			words := append([]string{o.program, "train", "--out", out}, flags...)
			if _, err := os.Stat(filepath.Join(out, "config.toml")); err == nil {
				words = []string{o.program, "train", "--resume", out}
				if _, err := os.Stat(filepath.Join(out, "checkpoint.safetensors")); err != nil {
					if err := os.RemoveAll(out); err != nil { // killed before the first epoch was saved
						return "", err
					}
					early++
					continue
				}
			}
			count := ranks[1+chance.IntN(3)]
			p := command(ctx, "", o.job(count, words...)...)
			var problems strings.Builder
			p.Stderr = &problems
			if err := p.Start(); err != nil {
				return "", err
			}
			ended := make(chan error, 1)
			go func() { ended <- p.Wait() }()
			if kills >= o.kills { // this training is finished undisturbed
				if err := <-ended; err != nil {
					return "", errors.Wrap(err, tail(problems.String()))
				}
				break
			}
			select {
			case err := <-ended:
				if err != nil {
					return "", errors.Wrapf(err, "undisturbed: %s", tail(problems.String()))
				}
			case <-time.After(time.Duration(chance.Float64() * float64(span) * 1.2)):
				children, err := childrenOf(p.Process.Pid)
				if err != nil || len(children) == 0 {
					<-ended
					continue
				}
				killed := time.Now()
				if syscall.Kill(children[chance.IntN(len(children))], syscall.SIGKILL) != nil {
					<-ended
					continue
				}
				kills++
				select {
				case <-ended:
				case <-time.After(10 * time.Second):
					return "", errors.Errorf("kill %d: the job has not ended after 10 s: %s", kills, tail(problems.String()))
				}
				longest = max(longest, time.Since(killed))
				if strings.Contains(problems.String(), "signal 9 (Killed)") {
					messages["says which process was killed"]++
				} else {
					messages["other"]++
				}
				fmt.Fprintf(os.Stderr, "kill %d of %d\n", kills, o.kills)
				continue
			}
			break
		}
		found, err := digestOf(out)
		if err != nil {
			return "", err
		}
		if found != want {
			return "", errors.Errorf("training %d after %d kills: the model has the SHA-256 %s, expected %s as without kills", trainings, kills, found, want)
		}
	}
	return fmt.Sprintf("SIGKILL of a random rank of 2, 4 or 8 at a random moment, %d times in %d trainings of 12 epochs, each of which was resumed, on a number of\nranks that was drawn again, until it was finished. Every job ended within %.1f s of the kill, and mpirun said which process was killed in %d of\n%d. Every training went on, %d of them from the beginning because no epoch had been saved, and all models have the bytes of the undisturbed one.",
		kills, trainings, longest.Seconds(), messages["says which process was killed"], kills, early), nil
}

// childrenOf are the processes whose parent is the given one.
func childrenOf(parent int) (children []int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		var pid, ppid int
		var state string
		if _, err := fmt.Sscan(entry.Name(), &pid); err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			continue
		}
		after := text[bytes.LastIndexByte(text, ')')+1:]
		if _, err := fmt.Sscan(string(after), &state, &ppid); err == nil && ppid == parent && state != "Z" {
			children = append(children, pid)
		}
	}
	return children, nil
}
