package adapt

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"
)

// moments are sums over the images of some classes.
type moments struct {
	images, classes int
	sum             []float64 // of the embeddings
	scatter         []float64 // (columns, columns), upper triangle: Σ(x − m)(x − m)ᵀ, m being the mean of the class of x
}

func newMoments(columns int) moments {
	return moments{sum: make([]float64, columns), scatter: make([]float64, columns*columns)}
}

// trace is that of the scatter.
func (m moments) trace() float64 {
	var trace float64
	for i := range m.sum {
		trace += m.scatter[i*len(m.sum)+i]
	}
	return trace
}

// scatter computes the moments of each fold. Those of the classes outside of a fold are then
// sums, so that every product of the embeddings is computed once.
func (f *fitter) scatter() {
	columns := f.set.Columns
	for _, fold := range f.folds {
		fold.moments = newMoments(columns)
		for _, class := range fold.classes {
			rows := f.classes[class]
			fold.moments.images += len(rows)
			fold.moments.classes++
			mean := make([]float64, columns)
			for _, row := range rows {
				for j, v := range f.set.Row(row) {
					mean[j] += float64(v)
				}
			}
			floats.Add(fold.moments.sum, mean)
			floats.Scale(1/float64(len(rows)), mean)
			const portion = 1024 // of rows, which limits the memory
			for from := 0; from < len(rows); from += portion {
				some := rows[from:min(from+portion, len(rows))]
				centered := make([]float64, 0, len(some)*columns)
				for _, row := range some {
					for j, v := range f.set.Row(row) {
						centered = append(centered, float64(v)-mean[j])
					}
				}
				addProducts(fold.moments.scatter, centered, columns)
			}
		}
	}
}

// addProducts adds xᵀx to the upper triangle of sum (columns, columns), for x (rows, columns).
func addProducts(sum, x []float64, columns int) {
	const tile = 160
	rows := len(x) / columns
	parallel.For((columns+tile-1)/tile, func(i int) {
		from := i * tile
		to := min(from+tile, columns)
		blas64.Gemm(blas.Trans, blas.NoTrans, 1,
			blas64.General{Rows: rows, Cols: to - from, Stride: columns, Data: x[from:]},
			blas64.General{Rows: rows, Cols: columns - from, Stride: columns, Data: x[from:]}, 1,
			blas64.General{Rows: to - from, Cols: columns - from, Stride: columns, Data: sum[from*columns+from:]})
	})
}

// outside adds up the moments of the classes outside of a fold.
func (f *fitter) outside(fold *fold) moments {
	total := newMoments(f.set.Columns)
	for _, other := range f.folds {
		if other != fold {
			total.images += other.moments.images
			total.classes += other.moments.classes
			floats.Add(total.sum, other.moments.sum)
			floats.Add(total.scatter, other.moments.scatter)
		}
	}
	return total
}

// whitening is y = W(x − mean) as a fully connected layer. WᵀW is that of the package
// documentation. Of all such W, which differ by a rotation of y and give the same cosine
// distances, it is the triangular one of the Cholesky decomposition, which takes a hundredth
// of the time of the symmetric one.
func (m moments) whitening(shrinkage float64) (layer, error) {
	d := len(m.sum)
	freedom := float64(max(1, m.images-m.classes))
	variance := m.trace() / freedom / float64(d)
	if !(variance > 0) {
		return layer{}, errors.New("found no variation of the embeddings within their classes, expected images of a class that differ")
	}
	covariance := blas64.Symmetric{N: d, Stride: d, Data: slices.Clone(m.scatter), Uplo: blas.Upper}
	floats.Scale(1/freedom, covariance.Data)
	for i := range d {
		covariance.Data[i*d+i] += shrinkage * variance
	}
	upper, definite := lapack64.Potrf(covariance) // covariance = UᵀU, so W is the transpose of U⁻¹
	if !definite || !lapack64.Trtri(upper) {
		return layer{}, errors.Errorf("the within-class covariance of the embeddings is not positive definite with a shrinkage of %v", shrinkage)
	}
	scale := math.Sqrt(variance * (1 + shrinkage))
	weight, bias := make([]float32, d*d), make([]float32, d)
	for i := range d {
		var shift float64
		for j := range i + 1 {
			w := scale * upper.Data[j*d+i]
			weight[i*d+j] = float32(w)
			shift -= w * m.sum[j] / float64(m.images)
		}
		bias[i] = float32(shift)
	}
	return layer{graph.Linear{Units: d}, [][]float32{weight, bias}}, nil
}

// reduce combines a whitening with a projection to the directions in which whitened
// embeddings vary most. Since their variation within classes is nearly equal in all
// directions, these are the directions with the largest ratio of the variation of all images
// to that within classes, as of linear discriminant analysis.
func (f *fitter) reduce(fold *fold, whitening layer, features int) (layer, error) {
	embeddings, err := applyLayers([]layer{whitening}, f.set.Select(concat(f.rowsOutside(fold))))
	if err != nil {
		return layer{}, err
	}
	d := f.set.Columns
	covariance := mat.NewSymDense(d, nil)
	const portion = 1024 // of rows, which limits the memory
	for from := 0; from < embeddings.Rows; from += portion {
		wide := make([]float64, 0, portion*d)
		for row := from; row < min(from+portion, embeddings.Rows); row++ {
			for _, v := range embeddings.Row(row) { // their mean is 0
				wide = append(wide, float64(v))
			}
		}
		addProducts(covariance.RawSymmetric().Data, wide, d)
	}
	projection, err := leading(covariance, features, random.New(f.Seed, "adapt", "directions"))
	if err != nil {
		return layer{}, err
	}
	var weight, bias mat.Dense
	weight.Mul(projection, widened(d, d, whitening.weights[0]))
	bias.Mul(projection, widened(d, 1, whitening.weights[1]))
	return layer{graph.Linear{Units: features}, [][]float32{narrowed(&weight), narrowed(&bias)}}, nil
}

func widened(rows, columns int, values []float32) *mat.Dense {
	wide := make([]float64, len(values))
	for i, v := range values {
		wide[i] = float64(v)
	}
	return mat.NewDense(rows, columns, wide)
}

func narrowed(m *mat.Dense) []float32 {
	values := m.RawMatrix().Data
	narrow := make([]float32, len(values))
	for i, v := range values {
		narrow[i] = float32(v)
	}
	return narrow
}

// leading approximates the eigenvectors of the largest eigenvalues of a matrix, as rows
// (count, d), by subspace iteration from random directions (Halko, Martinsson & Tropp 2011,
// "Finding structure with randomness", algorithm 4.4). All eigenvectors of a large matrix
// would take far longer.
func leading(m *mat.SymDense, count int, r *rand.Rand) (*mat.Dense, error) {
	const more, iterations = 16, 10
	d := m.SymmetricDim()
	size := min(count+more, d)
	basis := mat.NewDense(size, d, nil)
	for i := range size {
		drawDirection(basis.RawRowView(i), r)
	}
	orthonormalize(basis, r)
	if size < d { // the whole space needs no search
		for range iterations {
			var next mat.Dense
			next.Mul(basis, m)
			orthonormalize(&next, r)
			basis = &next
		}
	}
	var half, within mat.Dense
	half.Mul(basis, m)
	within.Mul(&half, basis.T())
	symmetric := mat.NewSymDense(size, nil)
	for i := range size {
		for j := i; j < size; j++ {
			symmetric.SetSym(i, j, within.At(i, j))
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(symmetric, true) {
		return nil, errors.New("the eigenvectors of the covariance could not be computed")
	}
	var vectors mat.Dense // columns, in the ascending order of their values
	eigen.VectorsTo(&vectors)
	var rows mat.Dense
	rows.Mul(vectors.Slice(0, size, size-count, size).T(), basis)
	return &rows, nil
}

func drawDirection(row []float64, r *rand.Rand) {
	for i := range row {
		row[i] = r.NormFloat64()
	}
}

// orthonormalize is the modified Gram-Schmidt process, twice for each row, which keeps the
// rows orthogonal to rounding. A row in the span of earlier ones is replaced by a random one.
func orthonormalize(m *mat.Dense, r *rand.Rand) {
	rows, _ := m.Dims()
	for i := range rows {
		row := m.RawRowView(i)
		for {
			before := floats.Norm(row, 2)
			for range 2 {
				for j := range i {
					floats.AddScaled(row, -floats.Dot(row, m.RawRowView(j)), m.RawRowView(j))
				}
			}
			after := floats.Norm(row, 2)
			if after > 1e-10*before {
				floats.Scale(1/after, row)
				break
			}
			drawDirection(row, r)
		}
	}
}
