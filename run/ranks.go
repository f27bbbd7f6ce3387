package run

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness/collective"
	"github.com/pkg/errors"
)

// This file is what ranks of one job, see Train, get from rank 0.

// jobParts is the default of Settings.BatchParts in a job.
const jobParts = 8

// sharedSettings returns the settings that rank 0 loads on all ranks.
func sharedSettings(ranks *collective.Communicator, load func() (Settings, error)) (settings Settings, err error) {
	text, err := ranks.FromRoot("settings", func() (text []byte, err error) {
		if settings, err = load(); err != nil || ranks.Size() == 1 {
			return nil, err
		}
		return settings.text()
	})
	if err != nil || ranks.Root() {
		return settings, err
	}
	folder, err := os.MkdirTemp("", "likeness-settings-")
	if err != nil {
		return settings, errors.Wrap(err, "settings of rank 0")
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "config.toml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return settings, errors.Wrap(err, "settings of rank 0")
	}
	return Load(path)
}

// sharedNumber returns the number that rank 0 computes on all ranks.
func sharedNumber(ranks *collective.Communicator, name string, compute func() (float64, error)) (float64, error) {
	data, err := ranks.FromRoot(name, func() ([]byte, error) {
		value, err := compute()
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(value)), err
	})
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(data)), nil
}
