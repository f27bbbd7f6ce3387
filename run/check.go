package run

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
)

// Check returns an error for numbers outside their ranges. It opens no file.
func (s Settings) Check() error {
	complete, err := s.completed()
	if err != nil {
		return err
	}
	return complete.check()
}

func (s Settings) check() error {
	for field := range fields() {
		key := keyOf(field)
		lowest, highest, err := limits(field)
		if err != nil {
			return err
		}
		var number float64
		switch value := s.field(key); value.Kind() {
		case reflect.Int:
			number = float64(value.Int())
		case reflect.Uint8:
			number = float64(value.Uint())
		case reflect.Float64:
			number = value.Float()
		default:
			continue
		}
		if expected := interval(lowest, highest); !(number >= lowest && number <= highest) || math.IsInf(number, 0) {
			return errors.Errorf("--%s: found %v, expected %s", FlagName(key), s.Value(key), expected)
		}
	}
	if s.Seed > 1<<63-1 {
		return errors.Errorf("--seed: found %d, expected at most 2^63 - 1, which TOML can hold", s.Seed)
	}
	if err := s.checkImages(); err != nil {
		return err
	}
	if err := s.checkValidation(); err != nil {
		return err
	}
	if _, err := ParseMemory(s.Memory); err != nil {
		return errors.WithMessage(err, "--memory")
	}
	if _, _, err := s.interpolationShare(); err != nil {
		return err
	}
	if _, err := s.precision(); err != nil {
		return err
	}
	return s.checkSolver()
}

// precision is that of the settings.
func (s Settings) precision() (graph.Precision, error) {
	p, err := graph.ParsePrecision(s.Precision)
	return p, errors.WithMessage(err, "--precision")
}

// limits are the smallest and the largest value of a setting that is a number.
func limits(field reflect.StructField) (lowest, highest float64, err error) {
	highest = math.Inf(1)
	for tag, limit := range map[string]*float64{"min": &lowest, "max": &highest} {
		if text := field.Tag.Get(tag); text != "" {
			if *limit, err = strconv.ParseFloat(text, 64); err != nil {
				return 0, 0, errors.Wrapf(err, "setting %s", field.Name)
			}
		}
	}
	if field.Name == "Threads" {
		highest = graph.MaxThreads
	}
	return lowest, highest, nil
}

// interval says which numbers lie between two limits.
func interval(lowest, highest float64) string {
	if math.IsInf(highest, 1) {
		return fmt.Sprintf("a number of %v or more", lowest)
	}
	return fmt.Sprintf("a number from %v to %v", lowest, highest)
}

// checkImages checks how images are cropped and augmented, also while this is off: a
// mistake in it must not be silent.
func (s Settings) checkImages() error {
	if err := s.checkResize(); err != nil {
		return err
	}
	for _, part := range []struct {
		key   string
		value interface{ Validate() error }
	}{
		{"crop", imaging.Crop{Margin: cmp.Or(s.Crop, 1)}},
		{"shear", datasets.Affine{Shear: s.Shear}},
		{"scale_min", datasets.Affine{ScaleMin: s.ScaleMin, ScaleMax: s.ScaleMax}},
		{"translation", datasets.Affine{Translation: s.Translation}},
		{"elastic", datasets.Elastic{Displacement: s.Elastic, Smoothness: 1}},
		{"elastic_sigma", datasets.Elastic{Displacement: s.Elastic, Smoothness: s.ElasticSigma}},
		{"batch_elastic", datasets.Elastic{Displacement: s.BatchElastic, Smoothness: 1}},
		{"batch_elastic_sigma", datasets.Elastic{Displacement: s.BatchElastic, Smoothness: s.BatchElasticSigma}},
		{"erosion", datasets.Stroke{Min: 0 - s.Erosion}},
		{"dilation", datasets.Stroke{Max: s.Dilation}},
		{"crop_scale_min", datasets.RandomResizedCrop{ScaleMin: s.CropScaleMin, ScaleMax: s.cropScaleMax()}},
		{"crop_ratio_min", datasets.RandomResizedCrop{RatioMin: s.CropRatioMin, RatioMax: s.CropRatioMax}},
		{"color_jitter", datasets.ColorJitter{Brightness: s.Brightness, Contrast: s.Contrast, Saturation: s.Saturation, Hue: s.Hue}},
		{"blur_kernel", datasets.GaussianBlur{Kernel: s.BlurKernel}},
		{"blur_sigma_min", datasets.GaussianBlur{SigmaMin: s.BlurSigmaMin, SigmaMax: s.BlurSigmaMax}},
		{"erasing_scale_min", datasets.RandomErasing{ScaleMin: s.ErasingScaleMin, ScaleMax: s.ErasingScaleMax}},
		{"erasing_ratio_min", datasets.RandomErasing{RatioMin: s.ErasingRatioMin, RatioMax: s.ErasingRatioMax}},
	} {
		if err := part.value.Validate(); err != nil {
			return errors.WithMessage(err, "--"+FlagName(part.key))
		}
	}
	return s.checkAugmentation()
}

// checkSolver checks the solver and the schedule.
func (s Settings) checkSolver() error {
	length := solver.Length{Epochs: s.Epochs, EpochSteps: max(s.StepsPerEpoch, 1)}
	_, _, err := solver.New(s.solver(), length)
	if err == nil {
		return nil
	}
	// The errors of package solver begin with its keys, some of which are former ones
	// of the settings.
	key, found, ok := strings.Cut(strings.TrimPrefix(err.Error(), "solver configuration: "), ": ")
	if now, former := FormerKeys()[key]; former {
		key = now
	}
	if ok && slices.Contains(Keys(), key) {
		return errors.Errorf("--%s: %s", FlagName(key), found)
	}
	return err
}

// penalties are the L2 penalties of the settings.
func (s Settings) penalties() ([]objectives.WeightPenalty, error) {
	var penalties []objectives.WeightPenalty
	for _, text := range s.Penalty {
		layer, number, found := strings.Cut(text, "=")
		if !found {
			layer, number = "*", text
		}
		lambda, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return nil, errors.Errorf("--penalty: found %q, expected a layer and its λ such as conv1=0.001, or a λ for all layers", text)
		}
		penalties = append(penalties, objectives.WeightPenalty{Pattern: layer, Lambda: lambda})
	}
	return penalties, nil
}

// projection is the units of the projection of the settings.
func (s Settings) projection() (units []int, err error) {
	for _, text := range s.Projection {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, errors.Errorf("--projection: found %q, expected the units of each layer such as 256,128", text)
		}
		units = append(units, n)
	}
	return units, nil
}

// comparesViews reports whether an objective compares two augmented views of each image, without
// labels.
func comparesViews(objective string) bool {
	loss, _, err := objectives.Named(objective, objectives.DefaultHead(objective), objectives.Options{Features: 1})
	return err == nil && loss.Kind() == datasets.Views
}

// checkViews refuses settings without an augmentation for an objective that needs one.
func (s Settings) checkViews() error {
	if s.Augmentation != autoAugmentation && s.augmentation() == nil && comparesViews(s.Objective) {
		return errors.Errorf("--augmentation: found none, but %s compares two augmented views of each image, which would be equal: use contrastive, drawing or auto, or set single operations such as --crop-scale-min 0.2", s.Objective)
	}
	return nil
}

// options are those of the objective, for embeddings of this dimension.
func (s Settings) options(features int) objectives.Options {
	return objectives.Options{
		Margin: s.Margin, Scale: s.Scale, Temperature: s.Temperature, Soft: s.SoftMargin, Balanced: s.Balanced, Centers: s.Centers,
		Mining: objectives.Mining(s.Mining), Epsilon: s.MiningEpsilon, PositiveScale: s.PositiveScale, NegativeScale: s.NegativeScale,
		Base: s.Base, Angle: s.Angle, Beta: s.Beta, PerClass: s.BetaPerClass, Bins: s.Bins,
		Invariance: s.Invariance, Variance: s.Variance, Covariance: s.Covariance, Redundancy: s.Redundancy, Features: features,
	}
}
