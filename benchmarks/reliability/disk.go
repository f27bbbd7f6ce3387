package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// disk is a small file system in memory with files on it, which only one command
// sees: it is mounted in a namespace of the command's own, which Linux lets
// everybody have.
type disk struct {
	seed     string // the folder whose files are on it; empty for none
	room     int    // bytes that are free beside them, a multiple of 4 KiB
	readOnly bool
}

// onDisk mounts $1, copies the files of $2 to it, leaves $3 bytes of room, runs
// what follows $6 there, with its messages in $5, and copies what is there to $4.
const onDisk = `set -e
disk=$1 seed=$2 room=$3 out=$4 said=$5 readonly=$6
shift 6
mount -t tmpfs -o size=256m tmpfs "$disk"
cd "$disk"
test -z "$seed" || cp -a "$seed"/. .
used=$(df --output=used -B1 . | tail -1)
if test "$readonly" = true; then mount -o remount,ro "$disk"
else mount -o remount,size=$((used + room)) "$disk"; fi
code=0
"$@" >"$said.out" 2>"$said" || code=$?
cp -a . "$out"
df --output=used -B1 . | tail -1 >"$said.used"
exit $code`

// outcome is what a command came to on a disk.
type outcome struct {
	code  int
	said  string // on standard error
	after string // a folder with what was on the disk afterwards
	used  int    // bytes of it
}

// disksWork says whether this system lets a disk be mounted.
func disksWork(ctx context.Context) error {
	said, err := exec.CommandContext(ctx, "unshare", "-Urm", "sh", "-c", "mount -t tmpfs tmpfs /mnt").CombinedOutput()
	return errors.Wrapf(err, "this system gives no file system of one's own: %s", bytes.TrimSpace(said))
}

// run runs a command in the root of the disk. The folder is for what it leaves.
func (d disk) run(ctx context.Context, folder string, command ...string) (outcome, error) {
	work, err := os.MkdirTemp(folder, "disk-")
	if err != nil {
		return outcome{}, errors.WithStack(err)
	}
	o := outcome{after: filepath.Join(work, "after")}
	mounted, said := filepath.Join(work, "mounted"), filepath.Join(work, "said")
	for _, path := range []string{mounted, o.after} {
		if err := os.Mkdir(path, 0o777); err != nil {
			return outcome{}, errors.WithStack(err)
		}
	}
	arguments := append([]string{"-Urm", "sh", "-c", onDisk, "sh", mounted, d.seed, strconv.Itoa(d.room), o.after, said, fmt.Sprint(d.readOnly)}, command...)
	script, err := exec.CommandContext(ctx, "unshare", arguments...).CombinedOutput()
	exit := new(exec.ExitError)
	if err != nil && !errors.As(err, &exit) {
		return outcome{}, errors.WithStack(err)
	}
	used, missing := os.ReadFile(said + ".used")
	if missing != nil {
		return outcome{}, errors.Errorf("prepare a disk: %v: %s", err, script)
	}
	if o.used, err = strconv.Atoi(strings.TrimSpace(string(used))); err != nil {
		return outcome{}, errors.WithStack(err)
	}
	if exit.ProcessState != nil {
		o.code = exit.ExitCode()
	}
	text, err := os.ReadFile(said)
	o.said = string(text)
	return o, errors.WithStack(err)
}

// largestFile is the size of the largest file of a folder, in bytes.
func largestFile(folder string) (size int, err error) {
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size = max(size, int(info.Size()))
		}
		return err
	})
	return size, errors.WithStack(err)
}

// remove removes what the command left.
func (o outcome) remove() { os.RemoveAll(filepath.Dir(o.after)) }
