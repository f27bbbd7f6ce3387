//go:build !amd64 && !arm64

package vector

func sets() []*Set { return nil }
