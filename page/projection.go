package page

import (
	"math"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/internal/tsne"
	"github.com/likeness-go/likeness/report"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// principal returns each embedding's place along the first two principal
// components, and the shares of the variance that these have. An embedding of
// one feature has one component, and equal embeddings have no variance: all is
// zero there.
func principal(embeddings evaluate.Embeddings) (places [][2]float64, shares [2]float64, err error) {
	rows, columns := embeddings.Rows, embeddings.Columns
	centred := mat.NewDense(rows, columns, nil)
	for column := range columns {
		var mean float64
		for row := range rows {
			mean += float64(embeddings.Row(row)[column]) / float64(rows)
		}
		for row := range rows {
			centred.Set(row, column, float64(embeddings.Row(row)[column])-mean)
		}
	}
	if sum := mat.Sum(centred); math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil, shares, errors.New("principal components: an embedding is not of finite numbers")
	}
	var components stat.PC
	if !components.PrincipalComponents(centred, nil) {
		return nil, shares, errors.New("principal components: the decomposition did not converge")
	}
	variances := components.VarsTo(nil)
	var directions, scores mat.Dense
	components.VectorsTo(&directions)
	first := directions.Slice(0, columns, 0, min(2, len(variances)))
	scores.Mul(centred, first)
	var total float64
	for _, v := range variances {
		total += v
	}
	places = make([][2]float64, rows)
	for k := range min(2, len(variances)) {
		for row := range places {
			places[row][k] = scores.At(row, k)
		}
		if total > 0 {
			shares[k] = variances[k] / total
		}
	}
	return places, shares, nil
}

// neighbourly returns each image's place by t-SNE on the model's own distances.
func neighbourly(s *report.Shown, seed uint64) ([][2]float64, error) {
	n := s.Images.Len()
	return tsne.Map(n, squares(s.Distances, n), tsne.Options{Seed: seed})
}

// squares are the squares of distances, in both directions the mean of the two,
// which rounding may part. Koch's distances may be negative: then the smallest
// counts as none, and the order stays.
func squares(distances []float64, n int) []float64 {
	squared, least := make([]float64, n*n), 0.0
	for i := range n {
		for j := range i {
			least = min(least, (distances[i*n+j]+distances[j*n+i])/2)
		}
	}
	for i := range n {
		for j := range i {
			d := (distances[i*n+j]+distances[j*n+i])/2 - least
			squared[i*n+j], squared[j*n+i] = d*d, d*d
		}
	}
	return squared
}
