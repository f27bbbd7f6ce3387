package kernel

// MatMul writes the product c (m, n) of a (m, k) and b (k, n), or adds it to c
// if accumulate is set. With transposeA, a is given as (k, m), with transposeB
// b as (n, k).
func MatMul[T Float](c, a, b []T, m, n, k int, transposeA, transposeB, accumulate bool) {
	checkLength("c", c, m*n)
	checkLength("a", a, m*k)
	checkLength("b", b, k*n)
	Parallel(m, func(i int) {
		for j := range n {
			var sum float64
			for l := range k {
				p, q := i*k+l, l*n+j
				if transposeA {
					p = l*m + i
				}
				if transposeB {
					q = j*k + l
				}
				sum += float64(a[p]) * float64(b[q])
			}
			if accumulate {
				sum += float64(c[i*n+j])
			}
			c[i*n+j] = T(sum)
		}
	})
}
