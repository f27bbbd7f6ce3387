package main

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pkg/errors"
)

// diskJob is a command that writes, on a disk that has its earlier files.
type diskJob struct {
	name  string
	seed  string // the folder with them; empty for none
	share int    // of the disks: one in so many
	args  []string
	names []string // of what it writes, one of which an error must tell
	// check looks at what is on the disk afterwards, beside what is on an ample one.
	check func(ctx context.Context, after, ample string, failed bool) error
}

// page is what a disk is filled by, in bytes; plenty is room for everything.
const (
	page   = 4 << 10
	plenty = 64 << 20
)

// fillDisks runs the tool on disks that become full at random and on ones that
// cannot be written to.
func (m material) fillDisks(ctx context.Context, disks int, chance *rand.Rand, note func(string, ...any)) ([]Finding, error) {
	if err := disksWork(ctx); err != nil {
		note("skipped: %v", err)
		return []Finding{finding("disks that became full", "skipped: %v", err)}, nil
	}
	jobs, err := m.diskJobs(ctx)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, job := range jobs {
		failed, succeeded, err := m.fill(ctx, job, max(1, disks/job.share), chance)
		if err != nil {
			return nil, errors.Wrap(err, job.name)
		}
		note("%s: %d full disks, %d that sufficed", job.name, failed, succeeded)
		findings = append(findings, finding(job.name+" on disks that became full",
			"%d errors that say so and name the file, all earlier files whole; %d disks sufficed, and one that cannot be written to was refused", failed, succeeded))
	}
	if err := m.fullOutput(ctx); err != nil {
		return nil, errors.Wrap(err, "/dev/full")
	}
	return append(findings, finding("results of eval, compare and search printed to a full device", "an error that says so")), nil
}

// fill runs a job on so many disks. How much room it needs is measured first.
func (m material) fill(ctx context.Context, job diskJob, disks int, chance *rand.Rand) (failed, succeeded int, err error) {
	command := append([]string{m.likeness.path}, job.args...)
	before, err := (disk{seed: job.seed, room: plenty}).run(ctx, m.folder, "true")
	if err != nil {
		return 0, 0, err
	}
	defer before.remove()
	ample, err := (disk{seed: job.seed, room: plenty}).run(ctx, m.folder, command...)
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
	// While a file is written, its old content is still there.
	pages := (max(0, ample.used-before.used) + largest + page - 1) / page
	for range disks {
		d := disk{seed: job.seed, room: page * chance.IntN(pages+1)}
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
		err = errors.New("found a success on a disk that cannot be written to")
	}
	return failed, succeeded, err
}

// oneDisk runs a job on a disk and says whether it failed, for the reason and
// for no other, and with a message that names a file.
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
		return true, errors.Errorf("with %d bytes of room: exit code %d, expected 1 and an error that names a file and says %q: %s", d.room, o.code, reason, o.said)
	}
	if d.readOnly {
		err = sameFolders(job.seed, o.after)
	} else {
		err = job.check(ctx, o.after, ample, failed)
	}
	return failed, errors.Wrapf(err, "with %d bytes of room, after %q", d.room, last)
}

// named says whether a message names what the job writes.
func (j diskJob) named(message string) bool {
	return regexp.MustCompile(`\b(` + strings.Join(j.names, "|") + `)\b`).MatchString(message)
}

// fullOutput prints results to a device that is always full.
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
		{"search", picture, "--in", m.images(0), "--model", m.whole, "--anyway"},
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
