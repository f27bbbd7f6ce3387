package sweep

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/run"
	"github.com/pkg/errors"
)

// Parameter is a setting with the values that are searched: those of Choices or, without any,
// the numbers from Low to High.
type Parameter struct {
	Key     string   // of the setting in TOML, such as learning_rate
	Choices []string // as the flag of the setting has them
	Low     float64  // at least the minimum of the setting; above 0 if Log
	High    float64  // above Low
	Log     bool     // the logarithm of the number has a uniform density; that is usual for rates, factors and sizes
}

// fixed are the settings that are the same in all trials of a search: those that make the data and
// the length, so that validations can be compared, and those without an effect on the weights.
var fixed = map[string]string{
	"data": "the data", "limit": "the data", "test_limit": "the data", "unseen": "the data", "validation_classes": "the data", "validation": "what trials are compared by",
	"skip_broken": "the data", "alphabets": "the data",
	"epochs": "the length of a training", "steps_per_epoch": "the length of a training",
	"memory": "no weights", "threads": "no weights",
	"seed":  "the random numbers only: the best of several seeds is not better on other data",
	"refit": "the training after the measurement only", "weight_interpolation": "the weights after the training only",
}

// ParseParameter reads the text of a flag --over: a setting by the name of its flag, and after "="
// either choices, separated by commas, or a range of numbers such as 1e-4..1e-2. The density of a
// range is uniform; of rates, factors and sizes that of the logarithm is (run.Parameter.Log).
func ParseParameter(text string) (Parameter, error) {
	p, err := parseParameter(text)
	return p, errors.WithMessagef(err, "--over %s", text)
}

func parseParameter(text string) (Parameter, error) {
	name, values, found := strings.Cut(text, "=")
	if name = strings.TrimPrefix(name, "--"); !found || name == "" || values == "" {
		return Parameter{}, errors.New("expected a setting with choices, such as objective=triplet,n-pair, or with a range, such as learning-rate=1e-4..1e-2")
	}
	setting, err := run.ParameterOf(name)
	if err != nil {
		return Parameter{}, err
	}
	p := Parameter{Key: setting.Key}
	low, high, isRange := strings.Cut(values, "..")
	if isRange {
		if p.Low, err = strconv.ParseFloat(low, 64); err == nil {
			p.High, err = strconv.ParseFloat(high, 64)
		}
		if err != nil && setting.Number {
			return Parameter{}, errors.Errorf("found the range %q, expected two numbers such as 1e-4..1e-2", values)
		}
		isRange, p.Log = setting.Number, setting.Log
	}
	if !isRange {
		p = Parameter{Key: setting.Key, Choices: strings.Split(values, ",")}
	}
	return p, p.check()
}

// check reports a parameter that cannot be searched.
func (p Parameter) check() error {
	if err := p.checkKind(); err != nil {
		return err
	}
	if len(p.Choices) == 0 {
		return nil
	}
	if len(p.Choices) == 1 {
		return errors.Errorf("found one value, expected several: set it by --%s %s", run.FlagName(p.Key), p.Choices[0])
	}
	setting, err := run.ParameterOf(p.Key)
	if err != nil {
		return err
	}
	for i, choice := range p.Choices {
		if slices.Contains(p.Choices[:i], choice) {
			return errors.Errorf("found %q twice", choice)
		}
		var settings run.Settings
		if err := settings.Parse(p.Key, choice); err != nil {
			return err
		}
		if number, err := strconv.ParseFloat(choice, 64); setting.Number && (err != nil || !(number >= setting.Min && number <= setting.Max)) {
			return errors.Errorf("found %s, expected numbers from %v to %v", choice, setting.Min, setting.Max)
		}
		if p.Key == "objective" && !slices.Contains(objectives.Names, choice) {
			settings = run.Defaults()
			settings.Objective = choice
			return settings.CheckLoss()
		}
	}
	return nil
}

func (p Parameter) checkKind() error {
	setting, err := run.ParameterOf(p.Key)
	if err != nil {
		return err
	}
	if what, ok := fixed[setting.Key]; ok {
		return errors.Errorf("--%s determines %s, which is the same in all trials: set it by --%s", run.FlagName(setting.Key), what, run.FlagName(setting.Key))
	}
	switch {
	case len(p.Choices) > 0:
		return nil
	case !setting.Number:
		return errors.New("found a range, expected choices: the setting is no number")
	case !(p.Low < p.High) || math.IsInf(p.Low, 0) || math.IsInf(p.High, 0):
		return errors.Errorf("found the range %v..%v, expected two finite numbers, the smaller one first", p.Low, p.High)
	case p.Low < setting.Min || p.High > setting.Max:
		return errors.Errorf("found the range %v..%v, expected numbers from %v to %v", p.Low, p.High, setting.Min, setting.Max)
	case p.Log && p.Low <= 0:
		return errors.Errorf("found the range %v..%v, expected numbers above 0, because their logarithm is drawn", p.Low, p.High)
	case setting.Integer && (p.Low != math.Trunc(p.Low) || p.High != math.Trunc(p.High) || p.High > 1<<31):
		return errors.Errorf("found the range %v..%v, expected whole numbers: --%s is one", p.Low, p.High, run.FlagName(p.Key))
	}
	return nil
}

// String is the parameter as ParseParameter reads it.
func (p Parameter) String() string {
	if len(p.Choices) > 0 {
		return run.FlagName(p.Key) + "=" + strings.Join(p.Choices, ",")
	}
	return fmt.Sprintf("%s=%v..%v", run.FlagName(p.Key), p.Low, p.High)
}

// digits that numbers of a range are rounded to, so that tables show what was trained.
const digits = 4

// value is what the parameter is at u, a number from 0 to below 1 with a uniform density, as
// the flag has it. Numbers that are not whole are rounded to four significant digits.
func (p Parameter) value(u float64) string {
	if len(p.Choices) > 0 {
		return p.Choices[min(int(u*float64(len(p.Choices))), len(p.Choices)-1)]
	}
	low, high := p.Low, p.High
	setting, err := run.ParameterOf(p.Key)
	whole := err == nil && setting.Integer
	if whole {
		high++ // every whole number has an interval of the length 1
	}
	var x float64
	if p.Log {
		x = math.Exp(math.Log(low) + u*(math.Log(high)-math.Log(low)))
	} else {
		x = low + u*(high-low)
	}
	if whole {
		return strconv.Itoa(int(min(max(math.Floor(x), p.Low), p.High)))
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', digits, 64), 64)
	if err != nil {
		rounded = x
	}
	return strconv.FormatFloat(min(max(rounded, p.Low), p.High), 'g', -1, 64)
}

// maxDraws are the attempts to draw a trial that can be trained and is no other one again.
const maxDraws = 10_000

// draw draws the settings of all trials: of each, the values of the parameters that have an effect
// in it. A combination that cannot be trained is drawn again, and so is one that an earlier
// trial has. The values of a trial depend on the seed, its number and the names of the
// parameters, and not on how many trials there are.
func (s Search) draw() ([]Trial, error) {
	var trials []Trial
	seed := s.seed()
	drawn, taken := map[string]bool{}, map[string]bool{}
	used := map[string]bool{}
	for number := 1; number <= s.Trials; number++ {
		var refusal error
		for attempt := 0; ; attempt++ {
			if attempt == maxDraws && refusal != nil {
				return nil, errors.WithMessage(refusal, "--over: no combination can be trained")
			}
			if attempt == maxDraws {
				if err := s.checkUsed(used); err != nil {
					return nil, err
				}
				return nil, errors.Errorf("--trials: found %d, but --over has only %d different combinations that can be trained: use at most as many", s.Trials, len(taken))
			}
			values := map[string]string{}
			for _, p := range s.Parameters {
				values[p.Key] = p.value(random.New(seed, "sweep", p.Key, number, attempt).Float64())
			}
			if drawn[textOf(values)] {
				continue
			}
			drawn[textOf(values)] = true
			settings, err := s.with(values)
			if err != nil {
				return nil, errors.WithMessagef(err, "--over: trial %d (%s)", number, textOf(values))
			}
			for _, p := range s.Parameters {
				if settings.Unused(p.Key) {
					delete(values, p.Key)
				}
			}
			if taken[textOf(values)] {
				continue
			}
			if settings, err = s.with(values); err != nil {
				return nil, errors.WithMessagef(err, "--over: trial %d (%s)", number, textOf(values))
			}
			if err := settings.CheckLoss(); err != nil {
				refusal = err
				continue
			}
			if err := settings.Check(); err != nil {
				return nil, errors.WithMessagef(err, "--over: trial %d (%s)", number, textOf(values))
			}
			taken[textOf(values)] = true
			for key := range values {
				used[key] = true
			}
			trials = append(trials, Trial{Number: number, Values: values, settings: settings})
			break
		}
	}
	return trials, s.checkUsed(used)
}

// checkUsed reports a parameter without an effect in any trial.
func (s Search) checkUsed(used map[string]bool) error {
	for _, p := range s.Parameters {
		if !used[p.Key] {
			return errors.Errorf("--over %v: no trial has this setting, because it is an option of another loss, solver or schedule, or has no effect without another setting", p)
		}
	}
	return nil
}

// textOf is the drawn values in the order of their names.
func textOf(values map[string]string) string {
	var parts []string
	for key, value := range values {
		parts = append(parts, run.FlagName(key)+"="+value)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
