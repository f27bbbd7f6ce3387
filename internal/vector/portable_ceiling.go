package vector

// MultiplyAdds multiplies and adds in registers, a tile of Rows at a time.
func (Portable[T]) MultiplyAdds(iterations int) int {
	var a, b, c, d, e, f T
	x, y, u, v, w := T(1), T(2), T(3), T(4), T(5)
	for range iterations {
		a += x * u
		b += x * v
		c += x * w
		d += y * u
		e += y * v
		f += y * w
		x, y = y, x // lest the products are worked out once for all
	}
	if a+b+c+d+e+f < 0 {
		panic("vector: a sum of products of positive numbers is negative") // so that the sums are wanted
	}
	return 2 * tileRows * tileColumns * iterations
}
