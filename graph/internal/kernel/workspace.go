package kernel

import "sync"

// workspace is the scratch memory of a unit of work. Units borrow and return
// it, so a few workspaces, one a thread, serve all layers of a network and
// stay in the cache.
type workspace[T Float] struct {
	rows, transposed   []T
	normalized, active []T
	panels             panels[T]
}

var workspaces struct{ single, double sync.Pool }

// workspacesOf returns the pool of the workspaces of an element type.
func workspacesOf[T Float]() *sync.Pool {
	if _, single := any(T(0)).(float32); single {
		return &workspaces.single
	}
	return &workspaces.double
}

// borrow returns a workspace of unspecified contents.
func borrow[T Float]() *workspace[T] {
	if w, ok := workspacesOf[T]().Get().(*workspace[T]); ok {
		return w
	}
	return new(workspace[T])
}

func (w *workspace[T]) giveBack() { workspacesOf[T]().Put(w) }

// grow returns a slice of length n, reusing the memory of *s if it suffices.
// The contents are unspecified.
func grow[E any](s *[]E, n int) []E {
	if cap(*s) < n {
		*s = make([]E, n)
	}
	*s = (*s)[:n]
	return *s
}
