package main

import (
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/evaluate"
)

// contender makes embeddings of images, bytes of the networks' size, and
// compares them.
type contender struct {
	embed  func(pixels [][]uint8) (evaluate.Embeddings, error)
	metric evaluate.Metric
}

// plain is a model as it is.
func plain(model *likeness.Model) (contender, error) {
	metric, err := model.Metric()
	return contender{func(pixels [][]uint8) (evaluate.Embeddings, error) {
		rows, err := model.EmbedPixels(pixels)
		if err != nil {
			return evaluate.Embeddings{}, err
		}
		return evaluate.FromRows(rows)
	}, metric}, err
}

// viewed is a model that looks at each image in seven affine views of eight
// symmetries.
func viewed(model *likeness.Model) contender {
	views := likeness.Views{Affine: true, Symmetries: true}
	return contender{func(pixels [][]uint8) (evaluate.Embeddings, error) {
		rows, err := model.EmbedViews(views, pixels)
		if err != nil {
			return evaluate.Embeddings{}, err
		}
		return evaluate.FromRows(rows)
	}, evaluate.Cosine{}}
}

// rawPixels compares the images themselves by cosine.
var rawPixels = contender{func(pixels [][]uint8) (evaluate.Embeddings, error) {
	rows := make([][]float32, len(pixels))
	for i, image := range pixels {
		for _, v := range image {
			rows[i] = append(rows[i], float32(v)/255)
		}
	}
	return evaluate.FromRows(rows)
}, evaluate.Cosine{}}

// measurement puts a contender to trials, the same for all.
type measurement func(c contender) (evaluate.Measure, error)

// measure puts the trained network, plain and by views, to the trials, beside
// the untrained one and raw pixels: a row, and another one by views where the
// head allows these.
func measure(row Row, trained, untrained *likeness.Model, m measurement, byViews bool) ([]Row, error) {
	first, err := plain(trained)
	if err != nil {
		return nil, err
	}
	second, err := plain(untrained)
	if err != nil {
		return nil, err
	}
	figure, err := m(first)
	if err != nil {
		return nil, err
	}
	base, err := m(second)
	if err != nil {
		return nil, err
	}
	pixels, err := m(rawPixels)
	if err != nil {
		return nil, err
	}
	row.Figure, row.Low, row.High = 100*figure.Value, 100*figure.Low, 100*figure.High
	row.Untrained, row.Pixels = 100*base.Value, 100*pixels.Value
	rows := []Row{row}
	if byViews {
		if figure, err = m(viewed(trained)); err != nil {
			return nil, err
		}
		row.Views = true
		row.Figure, row.Low, row.High = 100*figure.Value, 100*figure.Low, 100*figure.High
		rows = append(rows, row)
	}
	return rows, nil
}
