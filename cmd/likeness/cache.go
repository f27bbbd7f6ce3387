package main

import (
	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/likeness-go/likeness/run"
	"github.com/pkg/errors"
)

// cacheFlags are the flags of the commands that keep embeddings in a cache.
type cacheFlags struct {
	Cache     string `env:"LIKENESS_CACHE" placeholder:"FILE" help:"File of the cache of embeddings. Default: likeness/embeddings.db in the cache folder of the user."`
	CacheSize string `env:"LIKENESS_CACHE_SIZE" placeholder:"SIZE" help:"Maximum size of the file of the cache, such as 512MiB, 8GiB or unlimited, at least 1MiB. A file that is larger already is emptied. Default: 1GiB, or the size of the file if it is larger."`
	NoCache   bool   `env:"LIKENESS_NO_CACHE" help:"Neither read nor write the cache of embeddings."`
	Verify    bool   `name:"verify" help:"Read every image file to find its embedding in the cache, instead of trusting its size, modification time and inode."`
}

// cacheHelp is the help of these commands about the cache.
const cacheHelp = `Embeddings are kept in a cache, so that files that have not changed are neither read nor embedded again. They are recognized by path, size, modification time and inode, and otherwise by the checksum of their content. Models, versions of the program and instruction sets have entries of their own, and the results are the same, bit for bit, as without the cache. Its file has up to 1 GiB (--cache-size), of which half is for embeddings: 100,000 of 1,280 features. What was not used for the longest time goes first. Processes of one mpirun share the cache. If the file is locked by another process, damaged or not writable, the command warns and continues without it.`

// open opens the cache of the console. It is nil with --no-cache, and also, with a warning, if
// opening fails.
func (f cacheFlags) open(c *console) error {
	if f.NoCache {
		if f.Verify {
			return errors.New("--verify: it checks files against the cache, which --no-cache leaves alone: leave out one of them")
		}
		return nil
	}
	size, err := run.ParseMemory(f.CacheSize)
	if err == nil && size != 0 && size < cache.MinMaxSize {
		err = errors.Errorf("found %q, expected at least %d MiB", f.CacheSize, cache.MinMaxSize>>20)
	}
	if err != nil {
		return errors.WithMessage(err, "--cache-size")
	}
	path := f.Cache
	if path == "" {
		path, err = cache.DefaultPath()
	}
	if err == nil {
		c.kept, err = cache.Open(path, cache.Options{MaxSize: size, Verify: f.Verify, Shared: collective.FromContext(c).Size() > 1})
	}
	if err != nil {
		c.say("warning: continuing without the cache: %v (--cache chooses another file, --no-cache none)", err)
	}
	return nil
}

// closeCache closes the cache and warns if it was given up meanwhile.
func closeCache(c *console) {
	if err := c.kept.Close(); err != nil {
		c.say("warning: embeddings were not kept: %v", err)
	}
}
