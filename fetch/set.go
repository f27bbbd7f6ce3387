package fetch

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/likeness-go/likeness/internal/wording"
)

// Set is a data set as its authors publish it.
type Set struct {
	Name  string // such as "omniglot"
	Title string // such as "Omniglot (Lake, Salakhutdinov & Tenenbaum 2015)"
	Files []File
}

// File is one file of a set.
type File struct {
	Name string
	// URLs are the places that have it, the one to ask first in front.
	URLs   []string
	Size   int64  // in bytes
	SHA256 string // in hexadecimal digits
	// Members are what is taken out of it, if it is a .tar.gz archive that package
	// datasets does not read as it is. The archive itself is then removed.
	Members []Member
}

// Member is one file in an archive.
type Member struct {
	Path   string // in the archive; its last part is its name in the folder
	Size   int64  // in bytes
	SHA256 string // in hexadecimal digits
}

// name is the member's in the folder.
func (m Member) name() string { return m.Path[strings.LastIndex(m.Path, "/")+1:] }

// Names are the sets that Named knows.
func Names() []string {
	var names []string
	for _, set := range sets {
		names = append(names, set.Name)
	}
	return names
}

// Named finds a set by its name. An unknown one is an error that says which was
// probably meant.
func Named(name string) (Set, error) {
	for _, set := range sets {
		if set.Name == name {
			return set, nil
		}
	}
	return Set{}, wording.Unknown("data set", name, Names())
}

// Size is how many bytes are fetched in all.
func (s Set) Size() int64 {
	var sum int64
	for _, file := range s.Files {
		sum += file.Size
	}
	return sum
}

// Missing are the names of the files that the folder lacks, or has in another
// size; it is empty when the set is complete. Checksums are not looked at.
func (s Set) Missing(folder string) []string {
	var missing []string
	for _, file := range s.Files {
		for _, w := range file.wanted() {
			if info, err := os.Stat(filepath.Join(folder, w.name)); err != nil || info.Size() != w.size {
				missing = append(missing, w.name)
			}
		}
	}
	return missing
}

// wanted is a file as it is to lie in the folder.
type wanted struct {
	name, sha256 string
	size         int64
}

// wanted are the members of an archive, or the file itself.
func (f File) wanted() []wanted {
	if len(f.Members) == 0 {
		return []wanted{{f.Name, f.SHA256, f.Size}}
	}
	var all []wanted
	for _, m := range f.Members {
		all = append(all, wanted{m.name(), m.SHA256, m.Size})
	}
	return all
}
