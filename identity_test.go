package likeness_test

import (
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/heads"
)

func identityOf(t *testing.T, model *likeness.Model) likeness.Identity {
	t.Helper()
	identity, err := model.Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// A model keeps its identity in a file and with any threshold.
func TestIdentityStays(t *testing.T) {
	model := newModel(t, heads.L2{})
	before := identityOf(t, model)
	threshold := 0.5
	model.Threshold = &threshold
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := model.Save(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := likeness.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if after := identityOf(t, loaded); after != before {
		t.Errorf("found %v, want %v", after, before)
	}
	if len(before.Checksum) != 64 || before.Head != "l2" || before.Size != size {
		t.Errorf("found %+v", before)
	}
}

// Whatever changes an embedding or a distance changes the identity.
func TestIdentityTells(t *testing.T) {
	plain := identityOf(t, newModel(t, heads.L2{}))
	for name, change := range map[string]func(*likeness.Model){
		"head":          func(m *likeness.Model) { m.Head = heads.SquaredL2{} },
		"preprocessing": func(m *likeness.Model) { m.Preprocessing.Invert = true },
		"weights":       func(m *likeness.Model) { m.Weights.All()[3].Value.Float32s()[0]++ },
	} {
		model := newModel(t, heads.L2{})
		change(model)
		if found := identityOf(t, model); found.Checksum == plain.Checksum {
			t.Errorf("another %s has the same checksum", name)
		}
	}
}
