//go:build !amd64

package vector

func sets() []*Set { return nil }
