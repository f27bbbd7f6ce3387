// Package random derives the streams of random numbers of this module from one random
// seed, an independent stream for each use.
//
// A stream is identified by a path of strings and integers, such as ("batch", epoch,
// index). Two different paths give independent streams and one path always
// gives the same stream, so results depend neither on the number of workers
// nor on the order in which they run.
package random

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
)

// Part is one step of a stream's path: a string or an integer.
type Part interface{}

// New returns the stream of seed at path. The parts may be of the types
// string, int, int64 and uint64; other types
// panic.
func New(seed uint64, path ...Part) *rand.Rand {
	return rand.New(rand.NewPCG(Seed(seed, path...), Seed(seed^0x9e3779b97f4a7c15, path...)))
}

// Seed derives a seed for a path, for code that takes a seed.
func Seed(seed uint64, path ...Part) uint64 {
	hash := fnv.New64a()
	word := make([]byte, 9)
	write := func(tag byte, value uint64) {
		word[0] = tag
		binary.LittleEndian.PutUint64(word[1:], value)
		hash.Write(word)
	}
	write('s', seed)
	for _, part := range path {
		switch value := part.(type) {
		case string:
			write('n', uint64(len(value)))
			hash.Write([]byte(value))
		case int:
			write('i', uint64(value))
		case int64:
			write('i', uint64(value))
		case uint64:
			write('i', value)
		default:
			panic("random: a path part must be a string or an integer")
		}
	}
	return mix(hash.Sum64())
}

// mix is the finalizer of SplitMix64 (Steele, Lea & Flood 2014): FNV alone
// leaves the high bits of short inputs nearly equal.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
