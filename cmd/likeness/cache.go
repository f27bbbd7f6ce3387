package main

import (
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/pkg/errors"
)

// cacheFlags are the flags of the commands that keep embeddings in a cache.
type cacheFlags struct {
	Cache   string `env:"LIKENESS_CACHE" placeholder:"FILE" help:"File of the cache of embeddings. Default: likeness/embeddings.db in the cache folder of the user."`
	NoCache bool   `env:"LIKENESS_NO_CACHE" help:"Neither read nor write the cache of embeddings."`
	Verify  bool   `name:"verify" help:"Read every image file to find its embedding in the cache, instead of trusting its size, modification time and inode."`
}

// cacheHelp is the help of these commands about the cache.
const cacheHelp = `Embeddings are kept in a cache, so that files that have not changed are neither read nor embedded again. They are recognized by path, size, modification time and inode, and otherwise by the checksum of their content. Models, versions of the program and instruction sets have entries of their own, and the results are the same, bit for bit, as without the cache. It has up to 1 GiB, of which what was not used for the longest time goes first. If the file is locked by another process, damaged or not writable, the command warns and continues without it.`

// open opens the cache. It is nil with --no-cache, and also, with a warning, if opening fails.
func (f cacheFlags) open(c *console) (*cache.Cache, error) {
	if f.NoCache {
		if f.Verify {
			return nil, errors.New("--verify: it checks files against the cache, which --no-cache leaves alone: leave out one of them")
		}
		return nil, nil
	}
	path, err := f.Cache, error(nil)
	if path == "" {
		path, err = cache.DefaultPath()
	}
	var opened *cache.Cache
	if err == nil {
		opened, err = cache.Open(path, cache.Options{Verify: f.Verify})
	}
	if err != nil {
		c.say("warning: continuing without the cache: %v (--cache chooses another file, --no-cache none)", err)
		return nil, nil
	}
	return opened, nil
}

// closeCache closes the cache and warns if it was given up meanwhile.
func closeCache(c *console, opened *cache.Cache) {
	if err := opened.Close(); err != nil {
		c.say("warning: embeddings were not kept: %v", err)
	}
}
