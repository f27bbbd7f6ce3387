package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pkg/errors"
)

// in says whether the folder has the file as it is published. Another file of
// its name is an error.
func (w wanted) in(ctx context.Context, folder string) (bool, error) {
	path := filepath.Join(folder, w.name)
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, errors.WithStack(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && info.Size() != w.size {
		err = errors.Wrapf(ErrSize, "found %d bytes, expected %d", info.Size(), w.size)
	}
	if err == nil {
		err = checkSum(ctx, file, w.sha256)
	}
	return err == nil, errors.Wrapf(err, "%s is there, but is not the published file: remove it, or choose another folder", path)
}

// checkSum reads to the end and compares with a checksum in hexadecimal digits.
func checkSum(ctx context.Context, r io.Reader, expected string) error {
	hash := sha256.New()
	if _, err := io.Copy(hash, interruptible{ctx, r}); err != nil {
		return err
	}
	return compareSum(hash.Sum(nil), expected)
}

func compareSum(sum []byte, expected string) error {
	if found := hex.EncodeToString(sum); found != expected {
		return errors.Wrapf(ErrChecksum, "found SHA-256 %s, expected %s", found, expected)
	}
	return nil
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
