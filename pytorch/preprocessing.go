package pytorch

import "github.com/likeness-go/likeness/imaging"

// Preprocessing returns how images are prepared for the published weights of a network,
// and true, or false for a name that backbone.PublishedNames does not know: 224×224 pixels
// in color, normalized by the mean and standard deviation of ImageNet's channels, as
// torchvision does for all of its networks. EfficientNet-Lite0 takes (v − 127)/128 of
// values from 0 to 255.
func Preprocessing(network string) (imaging.Preprocessing, bool) {
	if _, err := publishedNames(network); err != nil {
		return imaging.Preprocessing{}, false
	}
	p := imaging.Preprocessing{
		Size:   imaging.Size{Height: 224, Width: 224, Channels: 3},
		Mean:   []float64{0.485, 0.456, 0.406},
		StdDev: []float64{0.229, 0.224, 0.225},
	}
	if network == "efficientnet-lite0" {
		const mean, deviation = 127.0 / 255, 128.0 / 255
		p.Mean, p.StdDev = []float64{mean, mean, mean}, []float64{deviation, deviation, deviation}
	}
	return p, true
}
