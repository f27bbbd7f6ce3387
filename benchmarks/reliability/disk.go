package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// disk is a small file system in memory. It is mounted in a mount namespace of a command, for
// which Linux requires no privileges.
type disk struct {
	seed     string // folder whose files are copied to it; empty for none
	free     int    // free bytes in addition, a multiple of 4 KiB
	readOnly bool
}

// onDisk mounts a file system at $1, copies the files of $2 to it, leaves $3 bytes free, runs
// the command after $6 there, with its messages in $5, and copies the files to $4.
const onDisk = `set -e
disk=$1 seed=$2 free=$3 out=$4 said=$5 readonly=$6
shift 6
mount -t tmpfs -o size=256m tmpfs "$disk"
cd "$disk"
test -z "$seed" || cp -a "$seed"/. .
used=$(df --output=used -B1 . | tail -1)
if test "$readonly" = true; then mount -o remount,ro "$disk"
else mount -o remount,size=$((used + free)) "$disk"; fi
code=0
"$@" >"$said.out" 2>"$said" || code=$?
cp -a . "$out"
df --output=used -B1 . | tail -1 >"$said.used"
exit $code`

// outcome is the result of a command on a disk.
type outcome struct {
	code  int
	said  string // standard error
	after string // folder with the files of the disk afterwards
	used  int    // bytes used on the disk
}

// disksWork returns an error if the system does not allow mounting a disk.
func disksWork(ctx context.Context) error {
	said, err := exec.CommandContext(ctx, "unshare", "-Urm", "sh", "-c", "mount -t tmpfs tmpfs /mnt").CombinedOutput()
	return errors.Wrapf(err, "this system does not allow mounting a file system in a namespace: %s", bytes.TrimSpace(said))
}

// run runs a command in the root of the disk and keeps its results in the folder.
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
	arguments := append([]string{"-Urm", "sh", "-c", onDisk, "sh", mounted, d.seed, strconv.Itoa(d.free), o.after, said, fmt.Sprint(d.readOnly)}, command...)
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

// largestFile returns the size of the largest file in a folder in bytes.
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

// remove removes the results of the command.
func (o outcome) remove() { os.RemoveAll(filepath.Dir(o.after)) }

// diskJob is a command that writes to a disk with earlier versions of its files.
type diskJob struct {
	name  string
	seed  string // folder with the earlier files; empty for none
	share int    // the job gets one of this number of disks
	args  []string
	names []string // names of its files, one of which an error must contain
	// check checks the files on the disk afterwards; ample has those of a disk that is large enough.
	check func(ctx context.Context, after, ample string, failed bool) error
}

// page is the unit of free space in bytes; plenty is enough for all jobs.
const (
	page   = 4 << 10
	plenty = 64 << 20
)

// fillDisks runs the commands on disks with random free space and on read-only ones.
func (m material) fillDisks(ctx context.Context, disks int, chance *rand.Rand, note func(string, ...any)) ([]measured, error) {
	if err := disksWork(ctx); err != nil {
		note("skipped: %v", err)
		return []measured{newMeasured("disks that became full", "skipped: %v", err)}, nil
	}
	jobs, err := m.diskJobs(ctx)
	if err != nil {
		return nil, err
	}
	var findings []measured
	for _, job := range jobs {
		failed, succeeded, err := m.fill(ctx, job, max(1, disks/job.share), chance)
		if err != nil {
			return nil, errors.Wrap(err, job.name)
		}
		note("%s: %d full disks, %d with enough space", job.name, failed, succeeded)
		findings = append(findings, newMeasured(job.name+" on disks that became full",
			"%d errors that state the reason and name the file, all earlier files intact; %d disks had enough space, and a read-only one was an error", failed, succeeded))
	}
	if err := m.fullOutput(ctx); err != nil {
		return nil, errors.Wrap(err, "/dev/full")
	}
	return append(findings, newMeasured("results of eval, compare and search printed to a full device", "an error that states the reason")), nil
}

// fill runs a job on a number of disks, after measuring the space that it needs.
func (m material) fill(ctx context.Context, job diskJob, disks int, chance *rand.Rand) (failed, succeeded int, err error) {
	command := append([]string{m.likeness.path}, job.args...)
	before, err := (disk{seed: job.seed, free: plenty}).run(ctx, m.folder, "true")
	if err != nil {
		return 0, 0, err
	}
	defer before.remove()
	ample, err := (disk{seed: job.seed, free: plenty}).run(ctx, m.folder, command...)
	if err != nil {
		return 0, 0, err
	}
	defer ample.remove()
	if ample.code != 0 {
		return 0, 0, errors.Errorf("on an ample disk: exit code %d: %s", ample.code, ample.said)
	}
	largest, err := largestFile(ample.after)
	if err != nil {
		return 0, 0, err
	}
	// While a file is written, its old version takes space, too.
	pages := (max(0, ample.used-before.used) + largest + page - 1) / page
	for range disks {
		d := disk{seed: job.seed, free: page * chance.IntN(pages+1)}
		full, err := m.oneDisk(ctx, job, d, ample.after, "no space left on device")
		if err != nil {
			return 0, 0, err
		}
		if full {
			failed++
		} else {
			succeeded++
		}
	}
	refused, err := m.oneDisk(ctx, job, disk{seed: job.seed, readOnly: true}, ample.after, "read-only file system")
	if err == nil && !refused {
		err = errors.New("found a success on a read-only disk, expected an error")
	}
	return failed, succeeded, err
}

// oneDisk runs a job on a disk and reports whether it failed. It must fail only for the given
// reason and with a message that names a file.
func (m material) oneDisk(ctx context.Context, job diskJob, d disk, ample, reason string) (failed bool, err error) {
	o, err := d.run(ctx, m.folder, append([]string{m.likeness.path}, job.args...)...)
	if err != nil {
		return false, err
	}
	defer o.remove()
	lines := strings.Split(strings.TrimSpace(o.said), "\n")
	last := lines[len(lines)-1]
	failed = o.code != 0
	if failed && (o.code != 1 || !strings.HasPrefix(last, "likeness: ") || !strings.Contains(last, reason) || !job.named(last)) {
		return true, errors.Errorf("with %d bytes of free: exit code %d, expected 1 and an error that names a file and contains %q: %s", d.free, o.code, reason, o.said)
	}
	if d.readOnly {
		err = sameFolders(job.seed, o.after)
	} else {
		err = job.check(ctx, o.after, ample, failed)
	}
	return failed, errors.Wrapf(err, "with %d free bytes, after %q", d.free, last)
}

// named reports whether a message names a file of the job.
func (j diskJob) named(message string) bool {
	return regexp.MustCompile(`\b(` + strings.Join(j.names, "|") + `)\b`).MatchString(message)
}

// fullOutput prints results to /dev/full.
func (m material) fullOutput(ctx context.Context) error {
	device, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		return errors.WithStack(err)
	}
	defer device.Close()
	picture := filepath.Join(m.images(0), "0.png")
	for _, args := range [][]string{
		{"eval", "--run", m.whole},
		{"compare", picture, picture, "--model", m.whole},
		{"search", picture, "--in", m.images(0), "--model", m.whole, "--force"},
	} {
		var said strings.Builder
		c := m.likeness.command(ctx, m.folder, args...)
		c.Stdout, c.Stderr = device, &said
		if err := c.Run(); err == nil || c.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "no space left on device") {
			return errors.Errorf("%s to a full device: %v: %s", args[0], err, &said)
		}
	}
	return nil
}
