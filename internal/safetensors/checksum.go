package safetensors

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"

	"github.com/pkg/errors"
)

// ChecksumKey is the metadata under which Seal keeps the checksum.
const ChecksumKey = "likeness.checksum"

// ErrChecksum marks a file that is not what was sealed.
var ErrChecksum = errors.New("the file is not as it was written: restore a copy of it")

// Checksum is the SHA-256, in hexadecimal, of the file's canonical form without
// the metadata of some keys: of every name, shape, number and text that it
// holds, whichever way they lie in the file.
func (f File) Checksum(without ...string) (string, error) {
	f.Metadata = maps.Clone(f.Metadata)
	for _, key := range without {
		delete(f.Metadata, key)
	}
	hash := sha256.New()
	if err := Write(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Seal puts the checksum of all else into the metadata. It finds what a disk or
// a transfer has changed, not who: whoever changes a file on purpose can seal it
// again.
func (f *File) Seal() error {
	sum, err := f.Checksum(ChecksumKey)
	if err != nil {
		return err
	}
	f.Metadata = maps.Clone(f.Metadata)
	if f.Metadata == nil {
		f.Metadata = map[string]string{}
	}
	f.Metadata[ChecksumKey] = sum
	return nil
}

// Verify compares a file with its seal; without one it is an ErrChecksum, too.
func (f File) Verify() error {
	stored, sealed := f.Metadata[ChecksumKey]
	if !sealed {
		return errors.Wrapf(ErrChecksum, "field %s is missing", ChecksumKey)
	}
	found, err := f.Checksum(ChecksumKey)
	if err != nil {
		return err
	}
	if found != stored {
		return errors.Wrapf(ErrChecksum, "field %s: found the checksum %s, expected %s", ChecksumKey, found, stored)
	}
	return nil
}
