//go:build unix

package retrieval_test

import (
	"context"
	"testing"

	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/pkg/errors"
	"golang.org/x/sys/unix"
)

// If the limit of open files is reached, images are not skipped as broken, and measuring
// traits fails.
func TestSystemErrorsAreNotSkipped(t *testing.T) {
	model := characterModel(t)
	sound := write(t, t.TempDir(), "sound.png", asPNG(t, drawings["ring"].on(40, 0, 0)))
	for _, skip := range []bool{false, true} {
		testutil.WithoutOpenFiles(t, func() {
			_, err := retrieval.Embed(context.Background(), model, []string{sound}, retrieval.Options{SkipBroken: skip})
			if !errors.Is(err, unix.EMFILE) || errors.Is(err, retrieval.ErrBroken) {
				t.Errorf("embed, skipping %v: found error %v", skip, err)
			}
		})
	}
	testutil.WithoutOpenFiles(t, func() {
		if _, err := retrieval.MeasureFiles(context.Background(), model.Preprocessing, []string{sound}, 9); !errors.Is(err, unix.EMFILE) {
			t.Errorf("examine: found error %v", err)
		}
	})
}
