package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// Settings are all that a training was set to but its seed, by name: rows of equal
// settings are runs of one training, and those of other settings never are. What is
// zero is left out, so that a setting that is added later leaves older rows as they
// are.
type Settings map[string]string

// add flattens a value into settings: the fields of a struct are named after it and
// themselves, and the elements of a list after their Name.
func (s Settings) add(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return errors.Wrapf(err, "settings %s", name)
	}
	var decoded any
	if err := json.Unmarshal(text, &decoded); err != nil {
		return errors.Wrapf(err, "settings %s", name)
	}
	s.flatten(name, decoded)
	return nil
}

func (s Settings) flatten(name string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for field, v := range value {
			s.flatten(name+"."+strings.ToLower(field), v)
		}
	case []any:
		for i, v := range value {
			element := strconv.Itoa(i)
			if fields, ok := v.(map[string]any); ok {
				if own, ok := fields["Name"].(string); ok {
					element = own
					delete(fields, "Name")
				}
			}
			s.flatten(name+"."+element, v)
		}
	case float64:
		if value != 0 {
			s[name] = strconv.FormatFloat(value, 'g', -1, 64)
		}
	case string:
		if value != "" {
			s[name] = value
		}
	case bool:
		if value {
			s[name] = "yes"
		}
	}
}

// addNetwork is the network's name with a digest of its blocks.
func (s Settings) addNetwork(n backbone.Network) error {
	text, err := n.TOML()
	if err != nil {
		return errors.Wrap(err, "settings")
	}
	s["network"] = fmt.Sprintf("%s %.4x", n.Name, sha256.Sum256([]byte(text)))
	return nil
}

// String has all settings in the order of their names.
func (s Settings) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		all = append(all, name+" "+s[name])
	}
	return strings.Join(all, ", ")
}

// beside are the settings that not all of the others have, too.
func (s Settings) beside(others []Settings) Settings {
	own := Settings{}
	for name, value := range s {
		if slices.ContainsFunc(others, func(o Settings) bool { return o[name] != value }) {
			own[name] = value
		}
	}
	return own
}

// settings of a recipe for images of so many pixels on a side.
func (r recipe) settings(s settings) (Settings, error) {
	if s.steps > 0 {
		r.steps = s.steps
	}
	if s.quick {
		r.steps /= 10
	}
	all := Settings{}
	if err := all.addNetwork(r.network(imaging.Size{Height: s.side, Width: s.side, Channels: 1})); err != nil {
		return nil, err
	}
	for name, value := range map[string]any{
		"pixels": s.side, "crop": crop, "head": r.head, "head.name": r.head.Name(), "objective": r.objective, "objective.name": r.objective.Name(),
		"classes": r.classes, "images": r.images, "steps": r.steps, "solver": r.solver, "grouped": r.grouped, "symmetries": r.symmetries,
		"networks": max(0, r.networks-1), "augment": r.augment,
	} {
		if err := all.add(name, value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// settings of a run of Koch's network, with the minutes after which it ends.
func (k kochRun) settings(c kochChoice) (Settings, error) {
	all := Settings{}
	if err := all.addNetwork(backbone.Koch()); err != nil {
		return nil, err
	}
	for name, value := range map[string]any{
		"minutes": c.minutes, "epoch": c.epoch, "objective": k.objective, "objective.name": k.objective.Name(), "batch": k.batch,
		"per class": k.perClass, "grouped": k.grouped, "solver": c.solver(), "augment": datasets.KochAffine(),
	} {
		if err := all.add(name, value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// mapSettings are those of Hadsell's maps.
func mapSettings(s settings) (Settings, error) {
	all := Settings{}
	if err := all.addNetwork(backbone.Hadsell(2)); err != nil {
		return nil, err
	}
	for name, value := range map[string]any{"steps": s.mapSteps(), "batch": mapBatch, "objective": mapObjective, "solver": mapSolver, "neighbours": neighbours} {
		if err := all.add(name, value); err != nil {
			return nil, err
		}
	}
	return all, nil
}
