package fetch

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// maxOtherBytes is the maximum number of bytes in an archive in addition to its members:
// headers and documentation.
const maxOtherBytes = 16 << 20

// unpack extracts the members of a .tar.gz archive to the folder, each atomically. It is an
// error if the archive has entries other than files and folders, names outside its root, a
// member twice or not at all, a member that is not the published file, or too many bytes.
func unpack(ctx context.Context, archive string, members []Member, folder string) error {
	file, err := os.Open(archive)
	if err != nil {
		return errors.WithStack(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(interruptible{ctx, file})
	if err != nil {
		return errors.WithStack(err)
	}
	return take(unzipped, members, folder)
}

// take is unpack for a .tar archive.
func take(archive io.Reader, members []Member, folder string) error {
	missing, limit := map[string]Member{}, int64(maxOtherBytes)
	for _, m := range members {
		missing[m.Path] = m
		limit += m.Size
	}
	entries := tar.NewReader(&bounded{archive, limit})
	taken := map[string]bool{}
	for {
		header, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.WithStack(err)
		}
		if err := checkEntry(header); err != nil {
			return err
		}
		m, asked := missing[header.Name]
		switch {
		case taken[header.Name]:
			return errors.Errorf("found %s twice", header.Name)
		case !asked:
			continue
		}
		if err := m.extract(entries, header, filepath.Join(folder, m.name())); err != nil {
			return err
		}
		taken[header.Name] = true
		delete(missing, header.Name)
	}
	for path := range missing {
		return errors.Errorf("the archive lacks %s", path)
	}
	return nil
}

// checkEntry returns an error for an entry that could write outside the folder.
func checkEntry(header *tar.Header) error {
	if header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir {
		return errors.Errorf("found %q of the type %q, expected files and folders only", header.Name, header.Typeflag)
	}
	if !filepath.IsLocal(filepath.FromSlash(header.Name)) || strings.Contains(header.Name, `\`) {
		return errors.Errorf("found the name %q, which is outside the root of the archive", header.Name)
	}
	return nil
}

// extract writes one member. The checksum is verified before the file gets its name.
func (m Member) extract(r io.Reader, header *tar.Header, path string) error {
	if header.Typeflag != tar.TypeReg || header.Size != m.Size {
		return errors.Wrapf(ErrSize, "%s: found %d bytes, expected a file of %d", m.Path, header.Size, m.Size)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		hash := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, hash), r); err != nil {
			return errors.WithStack(err)
		}
		return checksum{digits: m.SHA256}.compare(hash.Sum(nil))
	})
}

// bounded is a reader that returns an error after a maximum number of bytes.
type bounded struct {
	io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errors.Wrap(ErrSize, "found more bytes than the archive may have")
	}
	return n, err
}

// in reports whether the folder has the published file. Another file of its name is an
// error.
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
	if err == nil {
		err = w.checkSize(info.Size())
	}
	if err == nil {
		err = w.sum.check(ctx, file)
	}
	return err == nil, errors.Wrapf(err, "%s exists, but is not the published file: remove it or choose another folder", path)
}

// check reads to the end and compares the checksum.
func (c checksum) check(ctx context.Context, r io.Reader) error {
	hash := sha256.New()
	if _, err := io.Copy(hash, interruptible{ctx, r}); err != nil {
		return err
	}
	return c.compare(hash.Sum(nil))
}

func (c checksum) compare(sum []byte) error {
	found := hex.EncodeToString(sum)
	switch {
	case c.prefix && !strings.HasPrefix(found, c.digits):
		return errors.Wrapf(ErrChecksum, "found SHA-256 %s, expected one that begins with %s", found, c.digits)
	case !c.prefix && found != c.digits:
		return errors.Wrapf(ErrChecksum, "found SHA-256 %s, expected %s", found, c.digits)
	}
	return nil
}

// interruptible is a reader that returns an error when its context ends.
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
