package gallery

// Indexed returns the number of examples in the index, 0 without one.
func Indexed(g *Gallery) int {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	if g.graph == nil {
		return 0
	}
	return g.graph.Len()
}
