package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/run"
)

// Each setting has a flag of its key's name, but those that TOML alone can say.
func TestFlagsAndKeysAreOne(t *testing.T) {
	var flags struct {
		run.Settings `embed:""`
	}
	parser, err := kong.New(&flags, kong.Vars{"backbones": "", "published": ""})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, flag := range parser.Model.Flags {
		if flag.Name != "help" && flag.Name != "out" && flag.Name != "tensorboard" {
			found = append(found, flagKey(flag.Name))
			if flag.Help == "" {
				t.Errorf("flag --%s has no help", flag.Name)
			}
		}
	}
	var want []string
	for _, key := range run.Keys() {
		if key != "network" && key != "layers" {
			want = append(want, key)
		}
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-keys +flags):\n%s", diff)
	}
}

// What is mistyped or makes no sense is refused, with the name that was meant
// or the reason.
func TestRefusals(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 4, 3)
	train := func(more ...string) []string { return append([]string{"train", "--data", "bars"}, more...) }
	for name, test := range map[string]struct {
		code int
		say  []string
		args []string
	}{
		"command":     {misuse, []string{`unexpected argument trian, did you mean "train"`}, []string{"trian"}},
		"argument":    {misuse, []string{"missing argument <second>: the usage is likeness compare <first> <second> [flags]"}, []string{"compare", "a.png"}},
		"arguments":   {misuse, []string{"unexpected argument bars: the usage is likeness search --in=DIR <image> [flags]"}, []string{"search", "a.png", "bars"}},
		"workloads":   {failure, []string{`--workloads: found "none"`, "There are conv4, "}, []string{"bench", "--workloads", "none"}},
		"flag":        {misuse, []string{`unknown flag --epoch, did you mean`, "--epochs", "see likeness train --help"}, train("--epoch", "1")},
		"number":      {misuse, []string{"--batch", `"many"`}, train("--batch", "many")},
		"objective":   {failure, []string{`unknown objective "contrastiv": did you mean "contrastive"?`}, train("--objective", "contrastiv")},
		"head":        {failure, []string{`unknown head "l3": did you mean "l1"?`}, train("--head", "l3")},
		"backbone":    {failure, []string{`unknown backbone "conv5": did you mean "conv4"?`, ".toml"}, train("--backbone", "conv5")},
		"combination": {failure, []string{"cross-entropy with cosine", "use l2 or weighted-l1"}, train("--objective", "cross-entropy", "--head", "cosine")},
		"option":      {failure, []string{"cross-entropy has no option margin"}, train("--objective", "cross-entropy", "--margin", "1")},
		"scale":       {failure, []string{"contrastive has no option scale"}, train("--scale", "2")},
		"centers":     {failure, []string{"cosface has no option centers"}, train("--objective", "cosface", "--centers", "2")},
		"angle":       {failure, []string{"arcface with l2", "use cosine"}, train("--objective", "arcface", "--head", "l2")},
		"loss rate":   {failure, []string{"--loss-rate: found 10, but contrastive has no vectors of classes", "proxy-anchor"}, train("--size", "16", "--loss-rate", "10")},
		"batches":     {failure, []string{"--cross-batch-memory", "contrastive compares the given pairs", "batch-contrastive"}, train("--size", "16", "--cross-batch-memory", "500")},
		"width":       {failure, []string{"koch has no option width"}, train("--backbone", "koch", "--width", "8")},
		"block width": {failure, []string{"width", "change the blocks"}, train("--backbone", "tiny.toml", "--width", "8")},
		"fixed size":  {failure, []string{"size", "28x28", "105x105x1"}, train("--backbone", "koch", "--size", "28x28")},
		"odd size":    {failure, []string{"size", `"28by28"`, "64x64"}, train("--size", "28by28")},
		"negative":    {failure, []string{"limit: found -1"}, train("--limit=-1")},
		"seed":        {failure, []string{"seed: found 9223372036854775808"}, train("--seed", "9223372036854775808")},
		"no network":  {failure, []string{"missing.toml"}, train("--backbone", "missing.toml")},
		"no data":     {failure, []string{"--data", "no such file", `unknown data set "nowhere"`, "omniglot-small1, mnist"}, []string{"train", "--data", "nowhere"}},
		"data name":   {failure, []string{`did you mean "mnist"?`}, []string{"train", "--data", "minst"}},
		"no config":   {failure, []string{"config", "missing.toml"}, train("--config", "missing.toml")},
		"no model":    {failure, []string{"from", "nowhere"}, train("--from", "nowhere")},
		"penalty":     {failure, []string{"penalty", `"conv1=much"`, "conv1=0.001"}, train("--size", "16", "--penalty", "conv1=much")},
		"unseen":      {failure, []string{"unseen", `"bar9"`, "bar0, bar1"}, train("--unseen", "bar9")},
		"solver":      {failure, []string{"solver", `"adm"`, "adamw"}, train("--solver", "adm", "--size", "16")},
		"patience":    {failure, []string{"--patience: found 3", "no validation data"}, train("--size", "16", "--patience", "3")},
		"penalized":   {failure, []string{`penalty "conv9"`, "conv1.weight"}, train("--size", "16", "--penalty", "conv9=1")},
		"epochs":      {failure, []string{"--epochs: found 0, expected a number of 1 or more"}, train("--size", "16", "--epochs", "0")},
		"augment":     {failure, []string{"--augment: found 7, expected a number from 0 to 1"}, train("--size", "16", "--augment", "7")},
		"grouped":     {failure, []string{"grouped", "contrastive", "n-pair"}, train("--size", "16", "--grouped")},
		"temperature": {failure, []string{"contrastive has no option temperature"}, train("--temperature", "2")},
		"crop":        {failure, []string{"crop: margin is 0.5, expected 1 to 16"}, train("--size", "16", "--crop", "0.5")},
		"oblong":      {failure, []string{"symmetries", "40x36x1", "square"}, train("--size", "40x36x1", "--symmetries")},
		"few":         {failure, []string{"--limit 1", "increase it"}, train("--size", "16", "--limit", "1")},
		"huge size":   {failure, []string{"--size", "10000x10000", "67108864 pixels"}, train("--size", "10000x10000")},
		"average":     {failure, []string{"--ema-decay: found 1"}, train("--ema-decay", "1")},
		"bend":        {failure, []string{"smoothness is 0"}, train("--elastic", "3", "--elastic-sigma", "0")},
		"scales":      {failure, []string{"--scale-min: affine distortion: scale_min is 0.8 and scale_max 0.5"}, train("--scale-max", "0.5")},
		"empty data":  {misuse, []string{"--data: found an empty value", "not set"}, []string{"train", "--data", ""}},
		"empty list":  {misuse, []string{"--unseen: found an empty value"}, train("--unseen", "")},
		"empty model": {misuse, []string{"--model: found an empty value"}, []string{"compare", "a.png", "b.png", "--model", ""}},
		"empty image": {misuse, []string{"<first>: found an empty value"}, []string{"compare", "", "b.png"}},
		"empty out":   {misuse, []string{"--out: found an empty value"}, train("--out=")},
		"no run":      {failure, []string{"nowhere is not a run folder", "config.toml", "no such file"}, []string{"eval", "--run", "nowhere"}},
	} {
		t.Run(name, func(t *testing.T) { toolFails(t, test.code, test.say, test.args...) })
	}
	for name, test := range map[string]struct{ text, want string }{
		"key":         {"epoch = 3", `did you mean "epochs"?`},
		"nested key":  {"[[layers]]\nname = \"conv1\"\nratescale = 1.0", `did you mean "rate_scale"?`},
		"layer":       {"size = \"16\"\n[[layers]]\nname = \"conv9\"\nrate_scale = 0.5", `layer "conv9": matches no parameter, expected one of ["norm1.weight"`},
		"syntax":      {"epochs = = 3", "config.toml: line 1"},
		"type":        {"epochs = \"many\"", `(last key "epochs"): found a text, expected a whole number`},
		"network too": {"backbone = \"conv4\"\n[network]\nname = \"x\"", "expected one of the two"},
	} {
		t.Run("TOML "+name, func(t *testing.T) {
			write(t, "config.toml", test.text)
			toolFails(t, failure, []string{test.want}, train("--config", "config.toml")...)
		})
	}
	if _, err := os.Stat("runs"); err == nil {
		t.Error("a refused training leaves a run folder behind")
	}
}

// Each command's help teaches: what it does, an example, what there is to set.
func TestHelp(t *testing.T) {
	for command, texts := range map[string][]string{
		"train":           {"Train a network", "likeness train --data photos", "config.toml", "Ctrl-C", "--objective=NAME", "[128]"},
		"eval":            {"Measure the model of a run folder", "likeness eval --run runs/", "result.json"},
		"embed":           {"Compute the embeddings", "likeness embed photos", ".npy", "file,e0,e1"},
		"compare":         {"distance between two images", "likeness compare a.png b.png", "threshold", "--json", "--explain=FILE.png"},
		"near-duplicates": {"near-duplicate images", "likeness near-duplicates scans", "--threshold", "--flips", "--cache-size", "more than 20 % is colored", "--force", "--sheet"},
		"audit":           {"probably labeled wrongly", "likeness audit --data photos", "labels.csv", "--most", "--skip-broken", "--json"},
		"search":          {"most similar images", "likeness search drawing.png --in scans", "--nearest", "more than 40 % is ink", "--force"},
		"fetch":           {"Download a published data set", "likeness fetch omniglot", "SHA-256", "mnist, fashion-mnist, omniglot, cifar-10", "--to"},
		"enroll":          {"example images of classes", "likeness enroll alice alice1.jpg", "--folder people", "--rule=RULE"},
		"identify":        {"unknown", "likeness identify photo.jpg", "-k", "--json", "--set", "20 classes"},
		"verify":          {"of a class", "likeness verify alice photo.jpg", "threshold"},
		"forget":          {"Remove a class", "likeness forget alice"},
		"classes":         {"List the classes", "likeness classes --gallery"},
		"calibrate":       {"rejection threshold", "likeness calibrate --gallery", "10 / RATE", "--confidence 0.95", "299 such"},
	} {
		stdout, stderr := tool(t, command, "--help")
		for _, text := range texts {
			if !strings.Contains(stdout, text) {
				t.Errorf("%s --help lacks %q:\n%s", command, text, stdout)
			}
		}
		if stderr != "" {
			t.Errorf("%s --help complains: %s", command, stderr)
		}
	}
}

// The help of train names every network, objective and head.
func TestHelpNamesAll(t *testing.T) {
	stdout, _ := tool(t, "train", "--help")
	help := strings.Join(strings.Fields(stdout), " ")
	for _, name := range slices.Concat(backbone.Names, objectives.Names, heads.Names) {
		if name != "signed-weighted-l1" && !strings.Contains(help, name) {
			t.Errorf("train --help does not name %s", name)
		}
	}
}

// -h shows the common settings of a training and all flags of other commands, in a fraction of the
// lines of --help, and both end well.
func TestShortHelp(t *testing.T) {
	whole, _ := tool(t, "train", "--help")
	short, _ := tool(t, "train", "-h")
	if lines := strings.Count(short, "\n"); lines > 100 || lines > strings.Count(whole, "\n")/3 {
		t.Errorf("the short help of train has %d lines", lines)
	}
	for _, name := range append(slices.Clone(commonSettings), "config", "resume", "out") {
		if !strings.Contains(short, "\n  --"+name+"=") && !strings.Contains(short, "\n      --"+name+"=") {
			t.Errorf("train -h does not show --%s", name)
		}
	}
	for _, text := range []string{"likeness train --objective triplet-ratio", "more flags: likeness train --help"} {
		if !strings.Contains(short, text) {
			t.Errorf("train -h lacks %q", text)
		}
	}
	if strings.Contains(short, "--temperature") {
		t.Error("train -h shows --temperature")
	}
	search, _ := tool(t, "search", "-h")
	for _, text := range []string{"--model=", "--cache", "All of the help: likeness search --help"} {
		if !strings.Contains(search, text) {
			t.Errorf("search -h lacks %q:\n%s", text, search)
		}
	}
}

// A settings file that is not text is refused, whatever a decoder would make of it.
func TestConfigOfGarbage(t *testing.T) {
	inFolder(t)
	for _, text := range []string{"\xff\xfe", "\xfe\xff", "\x00", "seed = 1\n\x00", "\xff", "# \xff\nseed = 1", "\x89PNG\r\n\x1a\n"} {
		write(t, "config.toml", text)
		toolFails(t, failure, []string{"config.toml", "expected text in UTF-8"}, "train", "--data", "nowhere", "--config", "config.toml")
	}
}

// --version says which program it is.
func TestVersion(t *testing.T) {
	stdout, _ := tool(t, "--version")
	if !strings.HasPrefix(stdout, "likeness ") || !strings.Contains(stdout, runtime.Version()) || !strings.Contains(stdout, runtime.GOARCH) {
		t.Errorf("found %q", stdout)
	}
}

// An unknown flag is answered with the one that is meant, by what other programs call
// it or by its spelling.
func TestUnknownFlags(t *testing.T) {
	for _, test := range []struct{ command, flag, want string }{
		{"train", "--lr", "--learning-rate"}, {"train", "--learning_rate", "--learning-rate"}, {"train", "--loss", "--objective"},
		{"train", "--model-name", "--backbone"}, {"train", "--batch-size", "--batch"}, {"train", "--epoch", "--epochs"},
		{"train", "--num-workers", "--threads"}, {"train", "--wd", "--weight-decay"}, {"train", "--output-dir", "--out"},
		{"train", "--optimizer", "--solver"}, {"train", "--miner", "--objective"}, {"train", "--min-lr", "--final-learning-rate"},
		{"embed", "--model-name", "--model"}, {"embed", "--output", "--out"}, {"search", "--top-k", "--nearest"}, {"calibrate", "--far", "--false-accept-rate"},
	} {
		toolFails(t, misuse, []string{fmt.Sprintf("unknown flag %s, did you mean %s?", test.flag, test.want)}, test.command, test.flag, "1")
		toolFails(t, misuse, []string{fmt.Sprintf("unknown flag %s, did you mean %s?", test.flag, test.want)}, test.command, test.flag+"=1")
	}
}

// A flag by a former name works, and the new name is said once.
func TestFormerFlags(t *testing.T) {
	inFolder(t)
	bars(t, "bars", 6, 8)
	tool(t, tiny("--learning-rate", "0.001", "--clip-norm", "1", "--out", "new")...)
	_, said := tool(t, tiny("--rate", "0.001", "--rate=0.001", "--clip", "1", "--out", "old")...)
	for _, want := range []string{"warning: --rate is now --learning-rate\n", "warning: --clip is now --clip-norm\n"} {
		if strings.Count(said, want) != 1 {
			t.Errorf("found %d times %q in\n%s", strings.Count(said, want), want, said)
		}
	}
	for _, name := range []string{"model.safetensors", "config.toml"} {
		if diff := cmp.Diff(read(t, "new", name), read(t, "old", name)); diff != "" {
			t.Errorf("%s (-new names +former names):\n%s", name, diff)
		}
	}
	for command, names := range formerFlags {
		help, _ := tool(t, command, "--help")
		for was, now := range names {
			if !strings.Contains(help, "--"+now) || strings.Contains(help, "--"+was+"=") {
				t.Errorf("%s --help: --%s is now --%s, but it does not have the one or has the other", command, was, now)
			}
		}
	}
	current, renamed := currentNames([]string{"bench", "--works=a", "--", "--works"})
	if diff := cmp.Diff([]string{"bench", "--workloads=a", "--", "--works"}, current); diff != "" || len(renamed) != 1 {
		t.Errorf("found %q: %s", renamed, diff)
	}
}

// The words help and version are understood as the flags, and the tool alone prints its help as an error.
func TestHelpIsACommandToo(t *testing.T) {
	want, _ := tool(t, "search", "--help")
	if found, _ := tool(t, "help", "search"); found != want {
		t.Errorf("likeness help search: found\n%s\nwant\n%s", found, want)
	}
	want, _ = tool(t, "--help")
	if found, _ := tool(t, "help"); found != want {
		t.Errorf("likeness help: found\n%s\nwant\n%s", found, want)
	}
	if code, stdout, stderr := runTool(); code != misuse || stdout != "" || stderr != want {
		t.Errorf("likeness: exit code %d\n%s%s", code, stdout, stderr)
	}
	want, _ = tool(t, "--version")
	if found, _ := tool(t, "version"); found != want {
		t.Errorf("likeness version: found %s, want %s", found, want)
	}
}
