//go:build !amd64

package vector

// ByteEngineOf returns the engine for bytes with the instructions of an engine; here it is the
// portable one.
func ByteEngineOf(Engine[float32]) ByteEngine { return PortableBytes{} }

// byteDepthwiseCall would be the argument of assembly.
type byteDepthwiseCall struct{}

// WinogradOf returns the loops of Winograd's algorithms of an engine; here there are none.
func WinogradOf(ByteEngine) ByteWinograd { return nil }
