package likeness

import (
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
)

// Format is the version of the model file that Save writes, HalfFormat that of a model with
// HalfPrecision, and QuantizedFormat that of a quantized model. Load also reads likeness/1, whose
// files have no checksum and no probe.
const (
	Format          = "likeness/2"
	HalfFormat      = "likeness/3"
	QuantizedFormat = "likeness/4"
	formatBefore    = "likeness/1"
)

// ErrChecksum marks a model file that has changed since it was written.
var ErrChecksum = safetensors.ErrChecksum

// checkFormat reports whether a file is one that this program reads, and is as it was
// written, which intact says if it is known already. A checksum counts in every format, so that
// no change of the format's number leads past it.
func checkFormat(file safetensors.File, intact bool) error {
	_, sealed := file.Metadata[safetensors.ChecksumKey]
	switch format := file.Metadata[formatKey]; {
	case format == Format, format == HalfFormat, format == QuantizedFormat, format == formatBefore && sealed:
		if intact {
			return nil
		}
		return file.Verify()
	case format == formatBefore:
		return nil
	case format == "":
		return errors.Errorf("field %s is missing: this is not a likeness model: give a file that Model.Save or `likeness train` wrote; `likeness import` makes a model of PyTorch's weights", formatKey)
	default:
		return errors.Errorf("field %s: found %q, expected %q, %q, %q or %q: a later version of likeness wrote it", formatKey, format, Format, HalfFormat, QuantizedFormat, formatBefore)
	}
}
