package safetensors

// Float16 returns the value of an IEEE 754 binary16, for readers of other formats.
func Float16(bits uint16) float32 { return fromFloat16(bits) }
