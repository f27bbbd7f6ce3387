package run

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
)

// The values of Settings.Augmentation. An empty one is no preset: the single settings count.
const (
	autoAugmentation        = "auto" // until the images are read
	photoAugmentation       = "photo"
	contrastiveAugmentation = "contrastive"
	drawingAugmentation     = "drawing"
	noAugmentation          = "none"
)

var augmentations = []string{photoAugmentation, contrastiveAugmentation, drawingAugmentation, noAugmentation, autoAugmentation}

// WithAugmentation returns the settings with a preset of the augmentation, which replaces all
// settings of the augmentation: photo, contrastive, drawing, none, or auto. The preset photo is a
// random resized crop of at least half of the area, a horizontal flip and a mild color jitter;
// contrastive, for losses that compare two views of each image, is a crop of at least 8 % of the
// area, or 20 % of images of at most 96 pixels, a flip, a color jitter, gray images and a blur
// (Chen et al. 2020, appendix A, with the strengths of its experiments on CIFAR-10); drawing is
// the augmentation of the default training. An unknown preset is an error.
func (s Settings) WithAugmentation(preset string) (Settings, error) {
	if !slices.Contains(augmentations, preset) {
		return s, errors.WithMessage(wording.Unknown("preset", preset, augmentations), "--augmentation")
	}
	options := augmentationPreset(preset)
	for _, key := range optionsOf("augmentation") {
		s.set(key, options)
	}
	s.Augmentation = preset
	return s, nil
}

// augmentationPreset returns settings of which those of the augmentation are a preset's.
func augmentationPreset(preset string) Settings {
	switch preset {
	case photoAugmentation:
		s := generalDefaults
		s.CropScaleMin, s.CropScaleMax, s.CropRatioMin, s.CropRatioMax = 0.5, 1, 3./4, 4./3
		s.HorizontalFlip = 0.5
		s.ColorJitter, s.Brightness, s.Contrast, s.Saturation, s.Hue = 0.8, 0.2, 0.2, 0.2, 0.05
		return s
	case contrastiveAugmentation:
		s := generalDefaults
		s.CropScaleMin, s.CropScaleMax, s.CropRatioMin, s.CropRatioMax = contrastiveCrop, 1, 3./4, 4./3
		s.HorizontalFlip, s.Grayscale, s.GaussianBlur = 0.5, 0.2, 0.5
		s.ColorJitter, s.Brightness, s.Contrast, s.Saturation, s.Hue = 0.8, 0.4, 0.4, 0.4, 0.1
		return s
	case drawingAugmentation:
		return embeddedDefaults("")
	}
	return generalDefaults
}

// checkAugmentation returns an error for an unknown preset, and for one that the other settings of
// the augmentation contradict.
func (s Settings) checkAugmentation() error {
	augments := s.augmentation() != nil
	switch s.Augmentation {
	case "":
	case photoAugmentation, contrastiveAugmentation, drawingAugmentation:
		if !augments {
			return errors.Errorf("--augmentation: found %s, but every operation of it is off: use none, or leave out the settings that turn them off (in a program, Settings.WithAugmentation sets a preset)", s.Augmentation)
		}
	case noAugmentation, autoAugmentation:
		if augments {
			return errors.Errorf("--augmentation: found %s, but another setting turns an augmentation on: leave out one of the two", s.Augmentation)
		}
	default:
		return errors.WithMessage(wording.Unknown("preset", s.Augmentation, augmentations), "--augmentation")
	}
	if s.ColorJitter > 0 && s.Brightness == 0 && s.Contrast == 0 && s.Saturation == 0 && s.Hue == 0 {
		return errors.Errorf("--color-jitter: found %v, but no change of a color: set --brightness, --contrast, --saturation or --hue, such as 0.2", s.ColorJitter)
	}
	return nil
}

// drawingSide is the side of the images that the preset drawing was chosen on.
const drawingSide = 28

// The smallest crop of the preset contrastive: of large images, as a fraction of their area, and of
// small ones, of which 8 % would be a few pixels.
const (
	contrastiveCrop      = 0.08
	contrastiveCropSmall = 0.2
	maxSmall             = 96 // pixels
)

// decideAugmentation chooses the preset for the training images if it is automatic, and adapts the
// presets drawing, whose distances are in pixels, and contrastive to their size. The note, which may be empty, says
// what was chosen.
func (s *Settings) decideAugmentation(images datasets.Images) (note string, err error) {
	switch s.Augmentation {
	case autoAugmentation:
		s.Augmentation = "" // as without a preset
		if comparesViews(s.Objective) {
			return s.decideViews(images)
		}
		if images.ImageSize().Channels != 3 {
			return "", nil
		}
		choice, err := kindOf(images)
		switch {
		case errors.Is(err, zoo.ErrUndecided):
			return "augmentation none: " + err.Error(), nil
		case err != nil:
			return "", err
		case choice.Name != zoo.Photo:
			return "augmentation none: " + choice.Reason, nil
		}
		*s, err = s.WithAugmentation(photoAugmentation)
		return "augmentation photo: " + choice.Reason + " (--augmentation none turns it off)", err
	case contrastiveAugmentation:
		if size := images.ImageSize(); max(size.Height, size.Width) <= maxSmall && s.CropScaleMin == contrastiveCrop {
			s.CropScaleMin = contrastiveCropSmall
		}
	case drawingAugmentation:
		size, preset := images.ImageSize(), augmentationPreset(drawingAugmentation)
		for _, key := range []string{"translation", "elastic", "elastic_sigma", "batch_elastic", "batch_elastic_sigma"} {
			if value := s.field(key); value.Float() == preset.field(key).Float() {
				value.SetFloat(value.Float() * (float64(max(size.Height, size.Width)) / drawingSide))
			}
		}
	}
	return "", nil
}

// decideViews chooses the preset for an objective that compares views, which needs one.
func (s *Settings) decideViews(images datasets.Images) (note string, err error) {
	choice, err := kindOf(images)
	preset, reason := contrastiveAugmentation, choice.Reason
	switch {
	case errors.Is(err, zoo.ErrUndecided):
		reason = err.Error()
	case err != nil:
		return "", err
	case choice.Name != zoo.Photo:
		preset = drawingAugmentation
	}
	if *s, err = s.WithAugmentation(preset); err != nil {
		return "", err
	}
	_, err = s.decideAugmentation(images) // adapts the preset to the size of the images
	return fmt.Sprintf("augmentation %s: %s (--augmentation chooses another)", preset, reason), err
}

// examined is the number of training images by which the kind is chosen.
const examined = 100

// kindOf chooses the model of package zoo for images, evenly spaced ones of which are measured.
func kindOf(images datasets.Images) (zoo.Choice, error) {
	size := images.ImageSize()
	p := imaging.Preprocessing{Size: size}
	pixels := make([]uint8, size.Len())
	var traits []retrieval.Traits
	count := min(examined, images.Len())
	for i := range count {
		index := i * images.Len() / count
		if err := images.Read(index, pixels); err != nil {
			return zoo.Choice{}, errors.WithMessagef(err, "read %s", images.Source(index))
		}
		traits = append(traits, retrieval.MeasureImage(p, size.Image(pixels)))
	}
	return zoo.ChooseTraits(traits)
}

// augmentation is the random augmentation of images, nil if there is none.
func (s Settings) augmentation() *datasets.Augmentation {
	photo := s.photo()
	if s.Augment == 0 && photo == (datasets.Photo{}) {
		return nil
	}
	augmentation := &datasets.Augmentation{Photo: photo, Background: s.Fill}
	if s.Augment == 0 {
		return augmentation
	}
	affine := datasets.Affine{
		Rotation: s.Rotation, Shear: s.Shear, ScaleMin: s.ScaleMin, ScaleMax: s.ScaleMax,
		Translation: s.Translation, Probability: s.Augment,
	}
	elastic := datasets.Elastic{Displacement: s.Elastic, Smoothness: s.ElasticSigma, Probability: s.Augment}
	stroke := datasets.Stroke{Min: 0 - s.Erosion, Max: s.Dilation, Probability: s.Augment}
	augmentation.Image = datasets.Distortion{Affine: affine, Elastic: elastic, Stroke: stroke}
	if s.BatchElastic > 0 {
		augmentation.Batch.Elastic = datasets.Elastic{Displacement: s.BatchElastic, Smoothness: s.BatchElasticSigma, Probability: s.Augment}
	}
	return augmentation
}

// cropScaleMax is 1 if the crop has no maximum, and 0 if there is no crop.
func (s Settings) cropScaleMax() float64 {
	if s.CropScaleMin == 0 {
		return 0
	}
	return cmp.Or(s.CropScaleMax, 1)
}

// photo is the part of the augmentation that is for photographs.
func (s Settings) photo() datasets.Photo {
	photo := datasets.Photo{HorizontalFlip: s.HorizontalFlip, Grayscale: s.Grayscale}
	if s.CropScaleMin > 0 {
		photo.Crop = datasets.RandomResizedCrop{ScaleMin: s.CropScaleMin, ScaleMax: s.cropScaleMax(), RatioMin: s.CropRatioMin, RatioMax: s.CropRatioMax}
	}
	if s.ColorJitter > 0 {
		photo.Jitter = datasets.ColorJitter{Brightness: s.Brightness, Contrast: s.Contrast, Saturation: s.Saturation, Hue: s.Hue, Probability: s.ColorJitter}
	}
	if s.GaussianBlur > 0 {
		photo.Blur = datasets.GaussianBlur{Kernel: s.BlurKernel, SigmaMin: s.BlurSigmaMin, SigmaMax: s.BlurSigmaMax, Probability: s.GaussianBlur}
	}
	if s.RandomErasing > 0 {
		photo.Erasing = datasets.RandomErasing{
			ScaleMin: s.ErasingScaleMin, ScaleMax: s.ErasingScaleMax, RatioMin: s.ErasingRatioMin, RatioMax: s.ErasingRatioMax, Probability: s.RandomErasing,
		}
	}
	return photo
}
