//go:build unix

package cache

import (
	"io/fs"
	"syscall"
)

// identify returns the device and the inode of a file, which differ after it was replaced.
func identify(info fs.FileInfo) (device, inode uint64) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Dev), uint64(stat.Ino)
	}
	return 0, 0
}
