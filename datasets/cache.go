package datasets

import (
	"os"
	"path/filepath"

	"github.com/pkg/errors"
)

// CacheFolder is where a published data set is kept for all programs of a user:
// likeness/NAME in os.UserCacheDir. It need not be there.
func CacheFolder(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", errors.Wrapf(err, "find the cache folder of %s", name)
	}
	return filepath.Join(cache, "likeness", name), nil
}
