package evaluate

import (
	"math"

	"github.com/pkg/errors"
)

// SquaredEuclidean is Σ(xⱼ − yⱼ)².
type SquaredEuclidean struct{}

// Distances implements Metric, by a product of matrices; see Metric.
func (SquaredEuclidean) Distances(distances []float64, queries, references Embeddings) error {
	if err := checkDistances(distances, queries, references); err != nil {
		return err
	}
	// ‖x−y‖² = ‖x‖² + ‖y‖² − 2x·y loses digits where x and y are close; those
	// few are measured again by their differences, and equals are exactly 0 apart.
	const close = 1e-6
	products(distances, queries, references)
	squares, referenceSquares := squaredNorms(queries), squaredNorms(references)
	for q := range queries.Rows {
		row := distances[q*references.Rows : (q+1)*references.Rows]
		for r, product := range row {
			sum := squares[q] + referenceSquares[r]
			row[r] = sum - 2*product
			if row[r] <= close*sum {
				row[r] = squaredEuclidean(queries.Row(q), references.Row(r))
			}
		}
	}
	return nil
}

// Pairs implements Metric.
func (SquaredEuclidean) Pairs(distances []float64, x, y Embeddings) error {
	return MetricFunc(squaredEuclidean).Pairs(distances, x, y)
}

// Euclidean is √Σ(xⱼ − yⱼ)².
type Euclidean struct{}

// Distances implements Metric.
func (Euclidean) Distances(distances []float64, queries, references Embeddings) error {
	err := SquaredEuclidean{}.Distances(distances, queries, references)
	return thenSqrt(distances, err)
}

// Pairs implements Metric.
func (Euclidean) Pairs(distances []float64, x, y Embeddings) error {
	err := SquaredEuclidean{}.Pairs(distances, x, y)
	return thenSqrt(distances, err)
}

func thenSqrt(distances []float64, err error) error {
	if err != nil {
		return err
	}
	for i, square := range distances {
		distances[i] = math.Sqrt(square)
	}
	return nil
}

// Cosine is 1 − x·y/(‖x‖‖y‖), in [0, 2]; the cosine with a zero vector is
// taken to be 0.
type Cosine struct{}

// Distances implements Metric, by a product of matrices.
func (Cosine) Distances(distances []float64, queries, references Embeddings) error {
	if err := checkDistances(distances, queries, references); err != nil {
		return err
	}
	products(distances, queries, references)
	squares, referenceSquares := squaredNorms(queries), squaredNorms(references)
	for q := range queries.Rows {
		row := distances[q*references.Rows : (q+1)*references.Rows]
		for r, product := range row {
			row[r] = cosine(product, squares[q], referenceSquares[r])
		}
	}
	return nil
}

// Pairs implements Metric.
func (Cosine) Pairs(distances []float64, x, y Embeddings) error {
	return MetricFunc(func(x, y []float32) float64 {
		return cosine(dot(x, y), dot(x, x), dot(y, y))
	}).Pairs(distances, x, y)
}

func cosine(product, square, otherSquare float64) float64 {
	if square == 0 || otherSquare == 0 {
		return 1
	}
	return 1 - max(-1, min(1, product/(math.Sqrt(square)*math.Sqrt(otherSquare))))
}

// Manhattan is Σ|xⱼ − yⱼ|.
type Manhattan struct{}

// Distances implements Metric.
func (Manhattan) Distances(distances []float64, queries, references Embeddings) error {
	return MetricFunc(manhattan).Distances(distances, queries, references)
}

// Pairs implements Metric.
func (Manhattan) Pairs(distances []float64, x, y Embeddings) error {
	return MetricFunc(manhattan).Pairs(distances, x, y)
}

// WeightedManhattan is Σwⱼ|xⱼ − yⱼ|, the learned distance of Koch, Zemel &
// Salakhutdinov 2015. A weight may be negative, and so may then be a distance.
type WeightedManhattan struct {
	Weights []float32 // one a column
}

// Distances implements Metric; as many columns as weights are demanded.
func (m WeightedManhattan) Distances(distances []float64, queries, references Embeddings) error {
	if err := m.check(queries); err != nil {
		return err
	}
	return MetricFunc(m.between).Distances(distances, queries, references)
}

// Pairs implements Metric; as many columns as weights are demanded.
func (m WeightedManhattan) Pairs(distances []float64, x, y Embeddings) error {
	if err := m.check(x); err != nil {
		return err
	}
	return MetricFunc(m.between).Pairs(distances, x, y)
}

func (m WeightedManhattan) check(x Embeddings) error {
	if len(m.Weights) != x.Columns {
		return errors.Errorf("embeddings of %d columns cannot be compared with %d weights", x.Columns, len(m.Weights))
	}
	return nil
}

func (m WeightedManhattan) between(x, y []float32) (sum float64) {
	y, weights := y[:len(x)], m.Weights[:len(x)]
	for j := range x {
		sum += float64(weights[j]) * math.Abs(float64(x[j])-float64(y[j]))
	}
	return sum
}
