package trainer

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
)

// identity is everything that decides which weights a training ends with, by name,
// except for the arithmetic of the processor. A checkpoint records it and is resumed
// only by a training of the same identity.
//
// It does not depend on the names of this module's types. A backbone, head or loss of
// this module is identified by its settings, a user-defined one by the structure of the
// graph that it builds.
func (r *run) identity() (map[string]string, error) {
	settings, err := r.commonIdentity()
	if err != nil {
		return nil, err
	}
	settings["head"] = heads.Identifier(r.Model.Head)
	settings["examples"] = r.sampler.Identity()
	if settings["images"], err = datasets.Identity(r.Images); err != nil {
		return nil, err
	}
	if layers := layersOfLoss(r.Loss, r.Model.Head, objectives.WeightPrefix); layers != nil {
		if settings["learning rate of the loss"], err = canonical(layers); err != nil {
			return nil, err
		}
	}
	if r.Schedule != nil {
		hash := sha256.New()
		for step := range r.Epochs * r.epochSteps {
			fmt.Fprintln(hash, r.Schedule.LearningRate(step, r.Epochs*r.epochSteps))
		}
		settings["learning rates"] = fmt.Sprintf("digest %x", hash.Sum(nil)[:8])
	}
	if r.prefix != nil {
		settings["frozen weights, computed once"] = fmt.Sprintf("%d blocks", r.prefix.frozen)
	}
	settings["validation"] = "none"
	if r.Validate != nil {
		settings["validation"] = r.Validate.Identity()
	}
	blocks, known := r.blocks()
	if known {
		settings["backbone"] = blocks
	}
	if !known || heads.IsOwn(r.Model.Head) || objectives.IsOwn(r.Loss) {
		if settings["graph"] = r.program.Structure(); r.parts != nil {
			settings["graph"] = r.parts.structure()
		}
	}
	return settings, nil
}

// blocks is the backbone as a list of blocks, by the keys that its TOML has; known is
// false if it contains a user-defined type.
func (r *run) blocks() (text string, known bool) {
	network, known := r.Model.Backbone.(backbone.Network)
	if !known {
		return "", false
	}
	network.Name = "" // decides nothing
	text, err := network.TOML()
	if err != nil {
		return "", false
	}
	var keys map[string]any
	if _, err = toml.Decode(text, &keys); err == nil {
		text, err = canonical(keys)
	}
	return text, err == nil
}

// firstIdentity is identity as the first format has it.
func (r *run) firstIdentity() (map[string]string, error) {
	settings, err := r.commonIdentity()
	if err != nil {
		return nil, err
	}
	hash := fnv.New64a()
	err = datasets.ReadAll(r.Images, func(i int, pixels []uint8) error {
		hash.Write(pixels)
		if label := r.Images.Label(i); label >= 0 {
			fmt.Fprint(hash, label)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	settings["images"] = fmt.Sprintf("%d of digest %016x", r.Images.Len(), hash.Sum64())
	switch r.kind {
	case datasets.Pairs:
		settings["examples"] = "trainer.pairs"
	case datasets.Triplets:
		settings["examples"] = "trainer.triplets"
	case datasets.Labeled:
		settings["examples"] = "trainer.batches"
	}
	return settings, nil
}

// commonIdentity is what all formats have.
func (r *run) commonIdentity() (map[string]string, error) {
	settings := map[string]string{
		"objective": r.Loss.Name(), "head": r.Model.Head.Name(),
		"epochs": fmt.Sprint(r.Epochs), "steps of an epoch": fmt.Sprint(r.epochSteps),
		"seed": fmt.Sprint(r.Seed), "patience": fmt.Sprint(r.Patience),
		"batch": fmt.Sprint(r.count),
	}
	if r.inParts() {
		settings["parts of a batch"] = fmt.Sprint(r.partCount())
		if r.SyncBatchNorm {
			settings["batch norm"] = "synchronized"
		}
		if r.FastReduce {
			settings["fast reduce"] = "on"
		}
	}
	if r.Precision != graph.SinglePrecision {
		settings["precision"] = r.Precision.String()
	}
	if r.StopAfter != 0 {
		settings["stop after epochs"] = fmt.Sprint(r.StopAfter)
	}
	for _, weight := range r.Model.Weights.All() {
		if weight.Frozen {
			settings["frozen weights"] += weight.Name + " "
		}
	}
	for name, value := range map[string]any{
		"parameters of the objective": r.Loss, "solver": r.Solver, "penalties": r.Penalties,
		"augmentation": r.Augment, "preprocessing": r.Model.Preprocessing,
	} {
		var err error
		if settings[name], err = canonical(value); err != nil {
			return nil, errors.Wrap(err, name)
		}
	}
	return settings, nil
}

// canonical is a value as JSON.
func canonical(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text), err
}

// sameSettings compares two settings as JSON. A field that one of them lacks, since an
// earlier or a later version wrote it, must be off in the other: false, 0 or empty.
func sameSettings(a, b string) bool {
	x, xErr := decoded(a)
	y, yErr := decoded(b)
	if xErr != nil || yErr != nil {
		return a == b
	}
	return sameValues(x, y)
}

func decoded(text string) (value any, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber() // a seed has more digits than a float64
	if err = decoder.Decode(&value); err == nil && decoder.More() {
		err = errors.New("more than one value")
	}
	return value, err
}

func sameValues(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		other, ok := b.(map[string]any)
		if !ok {
			return false
		}
		differs := func(key string) bool { return !sameField(a, other, key) }
		return !slices.ContainsFunc(keysOf(a, other), differs)
	case []any:
		other, ok := b.([]any)
		return ok && slices.EqualFunc(a, other, sameValues)
	}
	return a == b
}

// sameField compares a field of two objects. One that lacks it has it off.
func sameField(a, b map[string]any, key string) bool {
	x, inA := a[key]
	y, inB := b[key]
	if inA && inB {
		return sameValues(x, y)
	}
	return off(x) && off(y)
}

// keysOf returns the fields of two objects, sorted.
func keysOf(a, b map[string]any) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// off reports whether a value is what a field has that no settings name.
func off(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for _, v := range value {
			if !off(v) {
				return false
			}
		}
		return true
	case []any:
		return len(value) == 0
	case json.Number:
		f, err := value.Float64()
		return err == nil && f == 0
	}
	return value == nil || value == false || value == ""
}

// checkIdentity refuses a checkpoint of another training, and warns where it cannot
// say whether it is one, or where the result is not that of an undisturbed run.
func (r *run) checkIdentity(file safetensors.File) (warnings []string, err error) {
	expected, format := r.settings, file.Metadata[checkpointKey]
	switch format {
	case checkpointFormat:
	case firstFormat:
		if expected, err = r.firstIdentity(); err != nil {
			return nil, err
		}
		warnings = append(warnings, fmt.Sprintf("%s was written by an earlier version, which did not record the backbone, how examples are drawn, their labels or the validation: whether these are the same was not checked", r.Checkpoint))
	default:
		return nil, errors.Errorf("field %s: found %q, expected %q or %q", checkpointKey, format, checkpointFormat, firstFormat)
	}
	var found map[string]string
	if err := json.Unmarshal([]byte(file.Metadata[settingsKey]), &found); err != nil {
		return nil, errors.Wrapf(err, "field %s", settingsKey)
	}
	if found == nil {
		return nil, errors.Errorf("field %s: found none", settingsKey)
	}
	if format == checkpointFormat && len(r.digests) > 0 && !hasFiles(file) {
		if expected, err = r.pixelIdentity(); err != nil {
			return nil, err
		}
	}
	names := slices.AppendSeq(slices.Collect(maps.Keys(expected)), maps.Keys(found))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		f, e := found[name], expected[name]
		if !sameSettings(f, e) {
			if err := r.changedFile(file, name); err != nil {
				return nil, err
			}
			field, f, e := differentField(f, e)
			f, e = differing(cmp.Or(f, "none"), cmp.Or(e, "none"))
			return nil, errors.Wrapf(ErrOtherTraining, "%s%s: found %s, expected %s; set the training up as before, or begin a new one", name, field, f, e)
		}
	}
	r.goVersions = nil
	if there := file.Metadata[goKey]; there != "" {
		r.goVersions = strings.Split(there, goSeparator)
	}
	here := goVersion(runtime.Version())
	if slices.ContainsFunc(r.goVersions, func(there string) bool { return goVersion(there) != here }) {
		warnings = append(warnings, fmt.Sprintf("%s was written by a program of another version of Go (%s; here %s), which may decode images differently: the result may not be bit for bit that of an undisturbed run", r.Checkpoint, file.Metadata[goKey], runtime.Version()))
	}
	// All arithmetic that the training has had, so that every later resumption warns.
	r.arithmetic = nil
	if there := file.Metadata[arithmeticKey]; there != "" {
		r.arithmetic = strings.Split(there, arithmeticSeparator)
	}
	if here := r.Precision.Arithmetic(); len(r.arithmetic) > 1 || len(r.arithmetic) == 1 && r.arithmetic[0] != here {
		warnings = append(warnings, fmt.Sprintf("%s was written with other arithmetic (%s; here %s): the result is not bit for bit that of an undisturbed run", r.Checkpoint, strings.Join(r.arithmetic, arithmeticSeparator), here))
	}
	return warnings, nil
}

// hasFiles reports whether a checkpoint records digests of image files.
func hasFiles(file safetensors.File) bool {
	return slices.ContainsFunc(file.Tensors, func(t safetensors.Tensor) bool { return strings.HasPrefix(t.Name, filesPart) })
}

// differentField descends into two different settings, while both are JSON objects or
// lists of one length, to their first different field. It returns the field's path, such
// as ", Layers[1], Momentum", and both values, where "" stands for none.
func differentField(a, b string) (path, found, expected string) {
	x, xErr := decoded(a)
	y, yErr := decoded(b)
	if xErr != nil || yErr != nil {
		return "", a, b
	}
	for {
		switch left := x.(type) {
		case map[string]any:
			if right, ok := y.(map[string]any); ok {
				keys := keysOf(left, right)
				i := slices.IndexFunc(keys, func(key string) bool { return !sameField(left, right, key) })
				path, x, y = path+", "+keys[i], left[keys[i]], right[keys[i]]
				continue
			}
		case []any:
			if right, ok := y.([]any); ok && len(right) == len(left) {
				i := 0
				for sameValues(left[i], right[i]) {
					i++
				}
				path, x, y = fmt.Sprintf("%s[%d]", path, i), left[i], right[i]
				continue
			}
		}
		return path, encoded(x), encoded(y)
	}
}

func encoded(value any) string {
	text, err := json.Marshal(value)
	if err != nil || value == nil {
		return ""
	}
	return string(text)
}

// differing cuts two texts that are too long for a message to where they differ.
func differing(a, b string) (string, string) {
	const before, most = 30, 120
	if max(len(a), len(b)) <= most {
		return a, b
	}
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	cut := func(text string) string {
		start, end := max(0, same-before), min(len(text), same+most-before)
		if start > 0 {
			text, end = "…"+text[start:], end-start+len("…")
		}
		if end < len(text) {
			text = text[:end] + "…"
		}
		return strings.ToValidUTF8(text, "")
	}
	return cut(a), cut(b)
}

// identify is datasets.Identity, or datasets.PixelIdentity in its place.
type identify func(datasets.Images) (string, error)

// pixelIdentity is identity as checkpoints have it that were written when all images were
// in memory: by the pixels of images and not by their files.
func (r *run) pixelIdentity() (map[string]string, error) {
	settings := maps.Clone(r.settings)
	var err error
	settings["images"], err = datasets.PixelIdentity(r.Images)
	if own, ok := r.Validate.(validation); ok {
		settings["validation"] = own.identity(datasets.PixelIdentity)
	}
	return settings, err
}

// fileDigests are the digests of the files of the training images and of those of the
// validation, by the names of these settings. Images that do not come from files have none.
func (r *run) fileDigests() (map[string][]int64, error) {
	digests := map[string][]int64{}
	for name, images := range r.imagesBySetting() {
		if images == nil {
			continue
		}
		of, err := datasets.Digests(images)
		if err != nil {
			return nil, errors.WithMessage(err, name)
		}
		for _, digest := range of {
			digests[name] = append(digests[name], int64(digest))
		}
	}
	return digests, nil
}

// imagesBySetting are the images by the settings of identity that depend on them.
func (r *run) imagesBySetting() map[string]datasets.Images {
	images := map[string]datasets.Images{"images": r.Images}
	if own, ok := r.Validate.(validation); ok {
		images["validation"] = own.images
	}
	return images
}

// changedFile returns an error that names the first file whose content is not that of the
// checkpoint; nil if that is not why the setting differs.
func (r *run) changedFile(file safetensors.File, setting string) error {
	recorded, found := file.Tensor(filesPart + setting)
	was, ok := recorded.Data.([]int64)
	is := r.digests[setting]
	if !found || !ok || len(was) != len(is) {
		return nil
	}
	first, changed := 0, 0
	for i := range is {
		if was[i] != is[i] {
			if changed++; changed == 1 {
				first = i
			}
		}
	}
	if changed == 0 {
		return nil
	}
	return errors.Wrapf(ErrOtherTraining, "%s: %s has changed since the training began (%d of %d files have): restore it, or begin a new training",
		setting, r.imagesBySetting()[setting].Source(first), changed, len(is))
}

// goVersion is the part of a version of Go on which the decoders of images depend, such as
// go1.26 of go1.26.8.
func goVersion(version string) string {
	if found := regexp.MustCompile(`go\d+\.\d+`).FindString(version); found != "" {
		return found
	}
	return version
}

// digestOf distinguishes a list of pairs or triplets from others.
func digestOf[T any](list []T) string {
	hash := sha256.New()
	for _, item := range list {
		fmt.Fprintln(hash, item)
	}
	return fmt.Sprintf("%d of digest %x", len(list), hash.Sum(nil)[:8])
}
