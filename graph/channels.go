package graph

// GeM is generalized-mean pooling (Radenović, Tolias & Chum 2018, equation 3): (batch,
// height, width, channels) to (batch, channels), y = (mean of max(x, ε)ᵖ)^(1/p). The
// exponent p is trainable, "gemN.weight" (1): 1 gives the mean, and ∞ the maximum.
type GeM struct {
	Exponent float64 // initial p; 0 for 3
	Epsilon  float64 // smallest value of x; 0 for 1e-6
}

// Kind is "gem".
func (GeM) Kind() string { return "gem" }

// Apply adds the block to the graph.
func (g GeM) Apply(b *Builder, number int, x *Node) *Node {
	b.Fail("not implemented")
	return nil
}

// LayerNorm normalizes the channels of each pixel, or the features of each row, to mean 0
// and variance 1, then scales and shifts them (Ba, Kiros & Hinton 2016). Its weights are
// "layernormN.weight" and "layernormN.bias" (channels).
type LayerNorm struct {
	Epsilon float64 // added to the variance; 0 for 1e-6
}

// Kind is "layernorm".
func (LayerNorm) Kind() string { return "layernorm" }

// Apply adds the block to the graph.
func (l LayerNorm) Apply(b *Builder, number int, x *Node) *Node {
	b.Fail("not implemented")
	return nil
}

// Scale multiplies each channel by a trainable factor, "scaleN.weight" (channels), as
// ConvNeXt does at the end of a residual body (Liu et al. 2022; LayerScale).
type Scale struct {
	Initial float64 // of the factors; 0 for 1
}

// Kind is "scale".
func (Scale) Kind() string { return "scale" }

// Apply adds the block to the graph.
func (s Scale) Apply(b *Builder, number int, x *Node) *Node {
	b.Fail("not implemented")
	return nil
}

// SqueezeExcite multiplies each channel of an image by a factor that is computed from the
// means of all channels (Hu, Shen & Sun 2018): gate(W₂·activation(W₁·mean + b₁) + b₂). Its
// weights are "squeezeexciteN.reduce.weight" (Channels, input channels),
// "squeezeexciteN.reduce.bias", "squeezeexciteN.expand.weight" (input channels, Channels)
// and "squeezeexciteN.expand.bias".
type SqueezeExcite struct {
	Channels   int    // of the layer between
	Activation string // a function of Activate; "" for "relu"
	Gate       string // a function of Activate; "" for "sigmoid"
}

// Kind is "squeezeexcite".
func (SqueezeExcite) Kind() string { return "squeezeexcite" }

// Apply adds the block to the graph.
func (s SqueezeExcite) Apply(b *Builder, number int, x *Node) *Node {
	b.Fail("not implemented")
	return nil
}
