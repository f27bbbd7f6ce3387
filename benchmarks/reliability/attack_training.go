package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/pkg/errors"
)

// interrupted creates a run folder with a checkpoint.
func (m material) interrupted(ctx context.Context, run string) error {
	c := m.likeness.command(ctx, m.folder, append(m.train(run), "--epochs", "100000")...)
	if err := c.Start(); err != nil {
		return errors.WithStack(err)
	}
	defer func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}()
	for deadline := time.Now().Add(longest); !exists(filepath.Join(run, "checkpoint.safetensors")); {
		if time.Now().After(deadline) {
			return errors.Errorf("%s: found no checkpoint after %v", run, longest)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// attackResume changes one setting or file of a run folder and resumes it.
func (m material) attackResume(ctx context.Context) (count int, err error) {
	run := filepath.Join(m.folder, "resumed")
	if err := m.interrupted(ctx, run); err != nil {
		return 0, err
	}
	if _, err := m.write([]byte("must not be lost"), "resumed", "model.safetensors"); err != nil {
		return 0, err
	}
	whole, err := snapshot(run)
	if err != nil {
		return 0, err
	}
	config, checkpoint := filepath.Join(run, "config.toml"), filepath.Join(run, "checkpoint.safetensors")
	attacks := []func() (path, content string){
		func() (string, string) { return checkpoint, "" },
		func() (string, string) { return checkpoint, "not a checkpoint" },
		func() (string, string) { return checkpoint, whole[checkpoint][:len(whole[checkpoint])/2] },
		func() (string, string) { return checkpoint, whole[checkpoint][:len(whole[checkpoint])-1] },
		func() (string, string) { return config, "\xff\xfe" },
		func() (string, string) { return config, whole[config] + "\n= =" },
	}
	for _, change := range [][2]string{
		{`activation = "relu"`, `activation = "tanh"`}, {"filters = 4", "filters = 5"}, {"units = 4", "units = 8"},
		{"margin = 1.0", "margin = 2.0"}, {`objective = "contrastive"`, `objective = "batch-contrastive"`}, {`head = "l2"`, `head = "l1"`},
		{"batch = 8", "batch = 16"}, {"seed = 1", "seed = 2"}, {"ema_decay = 0.9", "ema_decay = 0.8"}, {"augment = 0.5", "augment = 0.4"},
		{"rotation = 10.0", "rotation = 20.0"}, {"learning_rate = 0.003", "learning_rate = 0.03"}, {"limit = 0", "limit = 40"}, {"invert = false", "invert = true"},
		{"steps_per_epoch = 0", "steps_per_epoch = 3"}, {`solver = "adam"`, `solver = "adamw"`}, {"freeze = []", `freeze = ["conv1"]`},
	} {
		attacks = append(attacks, func() (string, string) {
			return config, strings.Replace(whole[config], change[0], change[1], 1)
		})
	}
	for _, attack := range attacks {
		path, content := attack()
		if content == whole[path] {
			return count, errors.Errorf("attack %d does not change %s", count+1, path)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			return count, errors.WithStack(err)
		}
		if err := m.refused(ctx, nil, "train", "--resume", run, "--tensorboard"); err != nil {
			return count, err
		}
		after, err := snapshot(run)
		if err != nil {
			return count, err
		}
		if after[path] = whole[path]; !reflect.DeepEqual(after, whole) {
			return count, errors.Errorf("attack %d: the run folder has changed", count+1)
		}
		if err := os.WriteFile(path, []byte(whole[path]), 0o666); err != nil {
			return count, errors.WithStack(err)
		}
		count++
	}
	return count, nil
}

// attackLock starts many trainings in one folder concurrently.
func (m material) attackLock(ctx context.Context) (count int, err error) {
	for round := range 5 {
		run := filepath.Join(m.folder, "locked", string(rune('a'+round)))
		const many = 8
		failures := make([]error, many)
		var wait sync.WaitGroup
		for i := range many {
			wait.Go(func() { failures[i] = m.likeness.run(ctx, m.folder, m.train(run)...) })
		}
		wait.Wait()
		begun := 0
		for _, failure := range failures {
			var exit *exec.ExitError
			switch {
			case failure == nil:
				begun++
			case !errors.As(failure, &exit) || !strings.Contains(failure.Error(), "--out") && !strings.Contains(failure.Error(), "another process"):
				return count, failure
			}
		}
		if begun != 1 {
			return count, errors.Errorf("found %d trainings in one folder, expected 1", begun)
		}
		if err := m.compare(run); err != nil {
			return count, err
		}
		count += many - begun
	}
	return count, nil
}

// attackOptions trains with the flags of each choice and the settings file of each other, and
// compares the resulting settings with those of a new run.
func (m material) attackOptions(ctx context.Context) (count int, err error) {
	choices := [][]string{
		{"--objective", "contrastive"}, {"--objective", "cross-entropy"}, {"--objective", "triplet", "--soft-margin"},
		{"--objective", "triplet-ratio", "--head", "cosine"}, {"--objective", "n-pair", "--head", "cosine"},
		{"--objective", "prototypical", "--head", "squared-l2"}, {"--objective", "batch-contrastive", "--balanced", "--head", "l1"},
	}
	settings := func(name string, arguments ...string) (map[string]any, error) {
		run := filepath.Join(m.folder, "options", name)
		arguments = append([]string{
			"train", "--data", filepath.Join(m.folder, "bars"), "--backbone", filepath.Join(m.folder, "small.toml"),
			"--batch", "8", "--epochs", "1", "--steps-per-epoch", "1", "--threads", "1", "--out", run,
		}, arguments...)
		if _, err := m.accepted(ctx, arguments...); err != nil {
			return nil, err
		}
		var found map[string]any
		_, err := toml.DecodeFile(filepath.Join(run, "config.toml"), &found)
		return found, errors.WithStack(err)
	}
	alone := make([]map[string]any, len(choices))
	for i, choice := range choices {
		if alone[i], err = settings("alone "+strings.Join(choice, ""), choice...); err != nil {
			return count, err
		}
	}
	for i, earlier := range choices {
		file := filepath.Join(m.folder, "options", "alone "+strings.Join(earlier, ""), "config.toml")
		for j, later := range choices {
			chosen := len(earlier) > 2 && earlier[2] == "--head" || len(earlier) > 4
			if i == j || chosen && !strings.Contains(strings.Join(later, " "), "--head") {
				continue // a chosen head is kept, so that the settings differ
			}
			found, err := settings(strings.Join(earlier, "")+" then "+strings.Join(later, ""), append([]string{"--config", file}, later...)...)
			if err != nil {
				return count, err
			}
			for key, want := range alone[j] {
				if !reflect.DeepEqual(found[key], want) {
					return count, errors.Errorf("%v with the settings of %v: found %s = %v, expected %v as in a new run", later, earlier, key, found[key], want)
				}
			}
			count++
		}
	}
	return count, nil
}

// attackNumbers sets each numeric flag to invalid values.
func (m material) attackNumbers(ctx context.Context) (count int, err error) {
	data := []string{"--data", filepath.Join(m.folder, "bars"), "--backbone", filepath.Join(m.folder, "small.toml")}
	for _, flag := range []string{
		"crop", "crop-min", "margin", "scale", "temperature", "augment", "rotation", "shear", "scale-min", "scale-max", "translation",
		"elastic", "elastic-sigma", "erosion", "dilation", "learning-rate", "warmup", "decay", "final-learning-rate", "momentum", "momentum-start",
		"beta1", "beta2", "epsilon", "l2", "weight-decay", "clip-norm", "ema-decay",
	} {
		for _, value := range []string{"NaN", "Inf", "-Inf", "-1"} {
			if err := m.refused(ctx, []string{"--" + flag}, append([]string{"train", "--" + flag + "=" + value}, data...)...); err != nil {
				return count, err
			}
			count++
		}
	}
	for _, flag := range []string{"limit", "test-limit", "width", "features", "epochs", "steps-per-epoch", "batch", "images-per-class", "patience", "threads", "decay-epochs", "momentum-epochs"} {
		for _, value := range []string{"-1", "-9223372036854775808", "1e3", "99999999999999999999"} {
			if err := m.refused(ctx, []string{"--" + flag}, append([]string{"train", "--" + flag + "=" + value}, data...)...); err != nil {
				return count, err
			}
			count++
		}
	}
	for flag, value := range map[string]string{
		"threads": "100000", "rotation": "999", "epochs": "0", "batch": "0", "size": "10000x10000", "limit": "1", "alphabets": "foo",
		"fill": "256", "ema-decay": "1", "augment": "1.5", "crop-min": "2", "patience": "1000000000", "warmup": "1e9",
	} {
		if flag == "patience" { // any number is valid, if there is a validation
			continue
		}
		if err := m.refused(ctx, []string{"--" + flag}, append([]string{"train", "--" + flag, value}, data...)...); err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}

// attackEmpty sets each text flag and each argument to an empty value.
func (m material) attackEmpty(ctx context.Context) (count int, err error) {
	for _, arguments := range [][]string{
		{"train", "--data", ""}, {"train", "--data="}, {"train", "--unseen", ""}, {"train", "--size", ""}, {"train", "--backbone", ""}, {"train", "--from", ""},
		{"train", "--objective", ""}, {"train", "--head", ""}, {"train", "--config", ""}, {"train", "--out", ""}, {"train", "--resume", ""},
		{"train", "--solver", ""}, {"train", "--schedule", ""}, {"train", "--alphabets", ""}, {"train", "--penalty", ""}, {"train", "--freeze", ""},
		{"eval", "--run", ""}, {"embed", "a.png", "--out", ""}, {"embed", "", "--out", "e.npy"}, {"embed", "a.png", "--model", "", "--out", "e.npy"},
		{"compare", "a.png", "b.png", "--model", ""}, {"compare", "", "b.png"}, {"compare", "a.png", ""},
		{"near-duplicates", ""}, {"near-duplicates", "bars", "--model", ""}, {"search", "", "--in", "bars"}, {"search", "a.png", "--in", ""},
		{"enroll", "", "a.png", "--gallery", "g"}, {"enroll", "a", "", "--gallery", "g"}, {"enroll", "a", "a.png", "--gallery", ""},
		{"identify", "", "--gallery", "g"}, {"identify", "a.png", "--gallery", ""}, {"verify", "", "a.png", "--gallery", "g"},
		{"forget", "", "--gallery", "g"}, {"classes", "--gallery", ""}, {"calibrate", "--gallery", "", "--data", "bars", "--false-accept-rate", "0.1"},
		{"serve", "--gallery", ""}, {"serve", "--model", ""}, {"export", "--onnx", ""}, {"import", "", "--backbone", "conv4"}, {"fetch", ""},
	} {
		if err := m.refused(ctx, []string{"empty"}, arguments...); err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}

// attackLists trains on lists with contradictory or malformed rows.
func (m material) attackLists(ctx context.Context) (count int, err error) {
	bar := func(class, i string) string { return filepath.Join("bars", "bar"+class, i+".png") }
	var rows []string
	for _, i := range []string{"0", "1", "2", "3", "4", "5"} {
		rows = append(rows, bar("0", i)+","+bar("0", "9")+",0,train", bar("0", i)+","+bar("1", i)+",1,train", bar("2", i)+","+bar("2", "9")+",0,test", bar("2", i)+","+bar("3", i)+",1,test")
	}
	warned := map[string]string{
		"contradiction": bar("0", "0") + "," + bar("0", "9") + ",1,train",
		"turned":        bar("0", "9") + "," + bar("0", "0") + ",1,train",
		"itself":        bar("0", "0") + "," + bar("0", "0") + ",1,train",
		"leak":          bar("0", "0") + "," + bar("0", "9") + ",0,test",
	}
	if m.sample {
		delete(warned, "contradiction") // package datasets tests each warning
		delete(warned, "itself")
	}
	for name, more := range warned {
		list, err := m.write([]byte("a,b,different,split\n"+strings.Join(append(rows, more), "\n")+"\n"), name+".csv")
		if err != nil {
			return count, err
		}
		found, err := m.accepted(ctx, "train", "--data", list, "--backbone", "small.toml", "--batch", "4", "--epochs", "1", "--out", "list-"+name)
		if err == nil {
			err = found.says("warning")
		}
		if err != nil {
			return count, err
		}
		count++
	}
	for name, content := range map[string]string{
		"carriage returns": "a,b,different\r" + strings.Repeat(bar("0", "0")+","+bar("0", "1")+",0\r", 500) + "x",
		"few fields":       "a,b,different\n" + bar("0", "0") + "," + bar("0", "1") + "\n",
		"many fields":      "a,b,different\n" + bar("0", "0") + "," + bar("0", "1") + ",0,train,more\n",
		"no label":         "a,b,different\n" + bar("0", "0") + "," + bar("0", "1") + ",maybe\n",
		"bytes":            "a,b,different\n\xff\xfe\x00,b,0\n",
	} {
		list, err := m.write([]byte(content), "bad "+name+".csv")
		if err != nil {
			return count, err
		}
		found, err := m.ask(ctx, "train", "--data", list, "--backbone", "small.toml", "--batch", "4")
		if err == nil {
			err = found.isRefusal(filepath.Base(list))
		}
		if err == nil && len(found.err) > 1000 {
			err = errors.Errorf("%q: the error has %d bytes", found.command, len(found.err))
		}
		if err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}
