package vector

// MultiplyAdds multiplies and adds in registers.
func (s *Set) MultiplyAdds(iterations int) int {
	const perIteration = 24
	if iterations > 0 {
		s.ceiling(iterations, 0.5)
	}
	return 2 * perIteration * s.lanes * iterations
}
