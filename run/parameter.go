package run

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/likeness-go/likeness/objectives"
	"github.com/pkg/errors"
)

// This file is what a search over settings (package sweep) asks of them.

// Parameter describes a setting that is a number, a text or a switch.
type Parameter struct {
	Key     string // in TOML
	Number  bool
	Integer bool
	// Log says that the setting is a rate, a factor or a size, whose values are compared by their
	// quotients.
	Log      bool
	Min, Max float64 // of a number, both allowed; Max may be infinite
}

// ParameterOf describes the setting with this TOML key or flag. Lists and the blocks of a network
// are no parameters.
func ParameterOf(name string) (Parameter, error) {
	key := strings.ReplaceAll(name, "-", "_")
	index, known := fieldIndices[key]
	if !known {
		var flags []string
		for _, key := range Keys() {
			flags = append(flags, FlagName(key))
		}
		if meant := wording.Meant(name, flags); meant != "" {
			return Parameter{}, errors.Errorf("there is no setting %s, did you mean %s?", name, meant)
		}
		return Parameter{}, errors.Errorf("there is no setting %s: likeness train --help lists them", name)
	}
	field := reflect.TypeFor[Settings]().Field(index)
	p := Parameter{Key: key, Log: field.Tag.Get("range") == "log"}
	switch field.Type.Kind() {
	case reflect.Int, reflect.Uint8, reflect.Uint64:
		p.Number, p.Integer = true, true
	case reflect.Float64:
		p.Number = true
	case reflect.String, reflect.Bool:
		return p, nil
	default:
		return Parameter{}, errors.Errorf("the setting %s is a list, expected one that is a number, a name or true or false", FlagName(key))
	}
	var err error
	p.Min, p.Max, err = limits(field)
	return p, err
}

// Parse sets the setting of a TOML key to what the text is as the value of its flag. It does not
// check the range, see Check.
func (s *Settings) Parse(key, text string) error {
	if s == nil {
		return errors.New("set a setting: found nil Settings")
	}
	if _, err := ParameterOf(key); err != nil {
		return err
	}
	field := s.field(key)
	var err error
	expected := "a number"
	switch field.Kind() {
	case reflect.Int:
		var n int
		if n, err = strconv.Atoi(text); err == nil {
			field.SetInt(int64(n))
		}
		expected = "a whole number"
	case reflect.Uint8, reflect.Uint64:
		var n uint64
		if n, err = strconv.ParseUint(text, 10, field.Type().Bits()); err == nil {
			field.SetUint(n)
		}
		expected = "a whole number"
	case reflect.Float64:
		var x float64
		if x, err = strconv.ParseFloat(text, 64); err == nil {
			field.SetFloat(x)
		}
	case reflect.Bool:
		var is bool
		if is, err = strconv.ParseBool(text); err == nil {
			field.SetBool(is)
		}
		expected = "true or false"
	default:
		if field.SetString(text); text == "" {
			err = errors.New("empty")
		}
		expected = "a name"
	}
	if err != nil {
		return errors.Errorf("--%s: found %q, expected %s", FlagName(key), text, expected)
	}
	return nil
}

// Unused reports whether the setting of a TOML key has no effect beside the others, because it is
// an option of another loss, solver or schedule. Settings are as Configure returns them.
func (s Settings) Unused(key string) bool {
	index, known := fieldIndices[key]
	if !known {
		return false
	}
	field := reflect.TypeFor[Settings]().Field(index)
	if needed := field.Tag.Get("needs"); needed != "" && s.field(needed).IsZero() {
		return true
	}
	of := strings.Fields(field.Tag.Get("of"))
	switch {
	case slices.Contains(of, "solver"):
		return !slices.Contains(solversOf[key], s.Solver)
	case slices.Contains(of, "schedule"):
		return !slices.Contains(schedulesOf[key], s.Schedule)
	case key == "images_per_class", slices.Contains(of, "objective"):
		return s.unusedByLoss(key)
	}
	return false
}

// Solvers and schedules that have an option.
var (
	solversOf = map[string][]string{
		"momentum": {"sgd"}, "momentum_start": {"sgd"}, "momentum_epochs": {"sgd"}, "nesterov": {"sgd"},
		"beta1": {"adam", "adamw"}, "beta2": {"adam", "adamw"}, "epsilon": {"adam", "adamw"},
		"l2": {"sgd", "adam"}, "weight_decay": {"adamw"},
	}
	schedulesOf = map[string][]string{"decay": {"step", "exponential"}, "decay_epochs": {"step"}, "final_learning_rate": {"cosine"}}
)

func (s Settings) unusedByLoss(key string) bool {
	head := s.Head
	if head == "" {
		head = objectives.DefaultHead(s.Objective)
	}
	loss, with, err := objectives.Named(s.Objective, objectives.DefaultHead(s.Objective), objectives.Options{Features: 1})
	if err != nil { // prototypical does not have the default distance
		loss, with, err = objectives.Named(s.Objective, "cosine", objectives.Options{Features: 1})
	}
	if err != nil {
		return false // an unknown loss is reported elsewhere
	}
	switch key {
	case "grouped", "images_per_class":
		return loss.Kind() != datasets.Labeled
	case "loss_rate":
		_, vectors := loss.(objectives.ClassVectorLoss)
		return !vectors
	case "cross_batch_memory", "cross_batch_warmup":
		return objectives.CrossBatchMemory{Loss: loss, Size: 2}.Check(with) != nil
	}
	var only Settings
	only.set(key, s)
	_, err = objectives.Defaults(s.Objective, head, only.options(1))
	return errors.Is(err, objectives.ErrNoOption)
}

// CheckLoss returns the error of a loss and a distance that cannot be combined, or of an option
// that the loss does not have. Settings are as Configure returns them.
func (s Settings) CheckLoss() error {
	head := s.Head
	if head == "" {
		head = objectives.DefaultHead(s.Objective)
	}
	_, _, err := objectives.Named(s.Objective, head, s.options(1))
	return err
}
