package gallery_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
)

// weightedModel is plainModel with random weights of a weighted head.
func weightedModel(t *testing.T, name string, features int) *likeness.Model {
	t.Helper()
	head, err := heads.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	model := plainModel(t, head, features)
	if p := model.Weights.Get("head.weight"); p != nil {
		r := random.New(1, name)
		for j, w := range p.Value.Data().([]float32) {
			p.Value.Data().([]float32)[j] = w + float32(0.5*r.NormFloat64())
		}
	}
	return model
}

// embeddings are random vectors with what is hard to order: equal ones, nearly equal ones,
// zeros, and very small and large ones.
func embeddings(n, features int) [][]float32 {
	r := random.New(7, "embeddings", features)
	all := make([][]float32, n)
	for i := range all {
		x := make([]float32, features)
		scale := 1.0
		switch i % 8 {
		case 0:
			scale = math.Pow(10, float64(r.IntN(40)-26))
		case 1:
			scale = 0
		}
		for j := range x {
			x[j] = float32(scale * r.NormFloat64())
		}
		if i%8 > 4 { // about an earlier one
			copy(x, all[r.IntN(i)])
			if j := r.IntN(features); i%8 > 5 {
				x[j] = math.Nextafter32(x[j], float32(r.IntN(2)))
			}
		}
		all[i] = x
	}
	return all
}

// A copy of a gallery in PostgreSQL, and a copy of that in a file, give the same answers as
// the file, bit for bit, for all heads and rules.
func TestPostgresEqualsFile(t *testing.T) {
	testutil.NeedPostgres(t)
	const features = 5
	all := embeddings(400, features)
	for _, head := range heads.Names {
		for _, rule := range []gallery.Rule{gallery.Nearest, gallery.Prototype} {
			model := weightedModel(t, head, features)
			first := filepath.Join(t.TempDir(), "first.gallery")
			file, err := gallery.Create(first, model, gallery.Options{Rule: rule, ModelName: "mod\xe9l"})
			if err != nil {
				t.Fatal(err)
			}
			enroll := func(g *gallery.Gallery, from, to int) {
				t.Helper()
				for i := from; i < to; i += 4 { // a class has many examples, others have few
					class := fmt.Sprint("class ", i%29*(i%3))
					if err := g.EnrollEmbeddings(class, all[i:min(to, i+4)]...); err != nil {
						t.Fatal(err)
					}
				}
			}
			enroll(file, 0, 200)
			if _, err := file.Calibrate(smallSteps(features), 0.3); err != nil {
				t.Fatal(err)
			}
			closeGallery(t, file)
			second, third := testutil.NewSchema(t), filepath.Join(t.TempDir(), "third.gallery")
			if n, err := gallery.Copy(ctx, first, second, model, gallery.Options{}); err != nil || n != 200 {
				t.Fatalf("copied %d examples: %v", n, err)
			}
			if n, err := gallery.Copy(ctx, second, third, model, gallery.Options{}); err != nil || n != 200 {
				t.Fatalf("copied %d examples back: %v", n, err)
			}
			var opened []*gallery.Gallery
			for _, path := range []string{first, second, third} {
				g, err := gallery.Open(path, model, gallery.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer closeGallery(t, g)
				opened = append(opened, g)
			}
			check := func(when string, options ...cmp.Option) {
				t.Helper()
				for _, k := range []int{1, 3, 100} {
					want, err := opened[0].IdentifyEmbeddings(all[100:160:160], k)
					if err != nil {
						t.Fatal(err)
					}
					for i, g := range opened[1:] {
						found, err := g.IdentifyEmbeddings(all[100:160:160], k)
						if diff := cmp.Diff(want, found, options...); diff != "" || err != nil {
							t.Fatalf("%s, %s, %s, gallery %d, k = %d: %v (-want +found):\n%s", head, rule, when, i+2, k, err, diff)
						}
					}
				}
				for _, class := range opened[0].Classes()[:5] {
					for _, query := range all[150:170] {
						want, err := opened[0].VerifyEmbedding(class.Name, query)
						if err != nil {
							t.Fatal(err)
						}
						found, err := opened[1].VerifyEmbedding(class.Name, query)
						if diff := cmp.Diff(want, found, options...); diff != "" || err != nil {
							t.Fatalf("%s, %s, %s, verify: %v (-want +found):\n%s", head, rule, when, err, diff)
						}
					}
				}
				if diff := cmp.Diff(opened[0].Classes(), opened[1].Classes()); diff != "" || opened[0].Len() != opened[1].Len() {
					t.Errorf("classes (-want +found):\n%s", diff)
				}
			}
			check("copied")
			for _, g := range opened {
				if _, err := g.Forget(opened[0].Classes()[3].Name); err != nil {
					t.Fatal(err)
				}
				enroll(g, 200, 400)
			}
			check("changed", cmpopts.IgnoreFields(gallery.Example{}, "Time"))
			d, err := gallery.Describe(second)
			if err != nil || d.ModelName != "mod\xe9l" || d.Rule != rule || d.Calibration == nil {
				t.Errorf("found %+v, %v", d, err)
			}
		}
	}
}

// smallSteps are steps with images of so many pixels.
func smallSteps(pixels int) *datasets.Dataset {
	d := steps()
	d.Size.Width = pixels
	for i, image := range d.Images {
		for len(image) < pixels {
			image = append(image, 0)
		}
		d.Images[i] = image
	}
	return d
}

// A copy that fails leaves nothing behind, and a gallery is not overwritten.
func TestCopyIsAllOrNothing(t *testing.T) {
	model := plainModel(t, heads.L2{}, 2)
	g := create(t, model, gallery.Options{})
	enroll(t, g, "a", grays(1, 2), grays(3, 4))
	closeGallery(t, g)
	targets := []string{filepath.Join(t.TempDir(), "target.gallery")}
	if testutil.InPostgres() {
		targets = append(targets, testutil.NewSchema(t))
	}
	for _, to := range targets {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := gallery.Copy(ended, g.Path(), to, model, gallery.Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: found error %v", to, err)
		}
		if _, err := gallery.Copy(ctx, g.Path(), to, plainModel(t, heads.L1{}, 2), gallery.Options{}); !errors.Is(err, gallery.ErrModel) {
			t.Errorf("%s: another model: found error %v", to, err)
		}
		if _, err := gallery.Describe(to); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: found error %v, expected no gallery", to, err)
		}
		if n, err := gallery.Copy(ctx, g.Path(), to, model, gallery.Options{ModelName: "new name"}); err != nil || n != 2 {
			t.Errorf("%s: copied %d, %v", to, n, err)
		}
		if d, err := gallery.Describe(to); err != nil || d.ModelName != "new name" {
			t.Errorf("%s: found %+v, %v", to, d, err)
		}
		if _, err := gallery.Copy(ctx, g.Path(), to, model, gallery.Options{}); !errors.Is(err, gallery.ErrExists) {
			t.Errorf("%s: found error %v", to, err)
		}
	}
	if _, err := gallery.Copy(ctx, filepath.Join(t.TempDir(), "none"), targets[0], model, gallery.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of nothing: found error %v", err)
	}
}

// Of several enrollments by one id, one is done, also after the gallery is opened again; an
// id of another enrollment is an error.
func TestRequestIDs(t *testing.T) {
	g := create(t, plainModel(t, heads.L1{}, 1), gallery.Options{})
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if n, err := g.Request(ctx, "first").EnrollEmbeddings("a", []float32{1}, []float32{2}); n != 2 || err != nil {
				t.Errorf("found %d examples, %v", n, err)
			}
		})
	}
	all.Wait()
	g = reopen(t, g, gallery.Options{})
	for i, id := range []string{"first", "second"} {
		if n, err := g.Request(ctx, id).EnrollEmbeddings("a", []float32{1}, []float32{2}); n != 2+2*i || err != nil {
			t.Errorf("%s: found %d examples, %v, want %d", id, n, err, 2+2*i)
		}
	}
	for id, enroll := range map[string]func(id string) error{
		"first": func(id string) error {
			_, err := g.Request(ctx, id).EnrollEmbeddings("b", []float32{1}, []float32{2})
			return err
		},
		"second":                 func(id string) error { _, err := g.Request(ctx, id).EnrollEmbeddings("a", []float32{1}); return err },
		"a b":                    func(id string) error { _, err := g.Request(ctx, id).EnrollEmbeddings("a", []float32{1}); return err },
		strings.Repeat("x", 201): func(id string) error { _, err := g.Request(ctx, id).EnrollEmbeddings("a", []float32{1}); return err },
	} {
		if err := enroll(id); !errors.Is(err, gallery.ErrRequestID) {
			t.Errorf("%s: found error %v", id, err)
		}
	}
	if g.Len() != 4 {
		t.Errorf("found %d examples, want 4", g.Len())
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := g.Request(ended, "third").EnrollEmbeddings("a", []float32{1}); !errors.Is(err, context.Canceled) || g.Len() != 4 {
		t.Errorf("found error %v and %d examples", err, g.Len())
	}
}

// Several galleries of one database are separate, and other tables are not touched.
func TestPostgresRefusals(t *testing.T) {
	testutil.NeedPostgres(t)
	model := plainModel(t, heads.L2{}, 2)
	path := testutil.NewSchema(t)
	schema := testutil.SchemaOf(path)
	if _, err := gallery.Open(path, model, gallery.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no gallery: found error %v", err)
	}
	testutil.PostgresExec(t, "CREATE SCHEMA "+schema)
	testutil.PostgresExec(t, "CREATE TABLE "+schema+".about (x int)")
	for way, err := range map[string]error{"create": closed(gallery.Create(path, model, gallery.Options{})), "open": closed(gallery.Open(path, model, gallery.Options{}))} {
		if !errors.Is(err, gallery.ErrNotGallery) || !strings.Contains(err.Error(), `the table "about" in the schema "`+schema) {
			t.Errorf("%s among other tables: found error %v", way, err)
		}
	}
	testutil.PostgresExec(t, "DROP TABLE "+schema+".about")
	g, err := gallery.Create(path, model, gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, g)
	if err := closed(gallery.Create(path, model, gallery.Options{})); !errors.Is(err, gallery.ErrExists) {
		t.Errorf("create again: found error %v", err)
	}
	enroll(t, g, "a", grays(1, 2))
	reader, err := gallery.Open(path, model, gallery.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, reader)
	_, forgotten := reader.Forget("a")
	_, calibrated := reader.Calibrate(smallSteps(2), 0.3)
	for way, err := range map[string]error{"enroll": reader.Enroll("a", grays(1, 2)), "forget": forgotten, "calibrate": calibrated, "index": reader.Index(ctx)} {
		if !errors.Is(err, gallery.ErrReadOnly) {
			t.Errorf("%s of a reader: found error %v", way, err)
		}
	}
	if found := identify(t, reader, grays(1, 2), 1); found.Candidates[0].Class != "a" { // as another process enrolled it
		t.Errorf("found %+v", found)
	}
	if removed, err := g.Discard(); removed || err != nil {
		t.Errorf("removed %v, %v", removed, err)
	}
	testutil.PostgresExec(t, "UPDATE "+schema+".about SET version = 9")
	if err := closed(gallery.Open(path, model, gallery.Options{})); !errors.Is(err, gallery.ErrNotGallery) || !strings.Contains(err.Error(), "version 9, expected 1 to 1") {
		t.Errorf("a newer version: found error %v", err)
	}
	testutil.PostgresExec(t, "DROP SCHEMA "+schema+" CASCADE")
	if _, err := reader.Request(ctx, "").Len(); err == nil || !strings.Contains(err.Error(), "removed by another program") {
		t.Errorf("without tables: found error %v", err)
	}
}

// A server that does not answer is ErrUnavailable, and no error has the password.
func TestPostgresUnavailable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close() // nobody listens there now
	path := fmt.Sprintf("postgres://u:secret@%s/db?sslmode=disable&sslpassword=secret", listener.Addr())
	model, short := plainModel(t, heads.L2{}, 2), gallery.Options{Timeout: time.Millisecond}
	_, described := gallery.DescribeWithin(ctx, path, time.Millisecond)
	_, copied := gallery.Copy(ctx, path, "copy.gallery", model, short)
	for way, err := range map[string]error{
		"describe": described, "copy": copied,
		"open": closed(gallery.Open(path, model, short)), "create": closed(gallery.Create(path, model, short)),
	} {
		if !errors.Is(err, gallery.ErrUnavailable) || strings.Contains(fmt.Sprintf("%v %+v", err, err), "secret") {
			t.Errorf("%s: found error %v", way, err)
		}
	}
}

// Connections that are ended at any time are made again, and what was acknowledged stays.
func TestPostgresConnectionsEnd(t *testing.T) {
	testutil.NeedPostgres(t)
	path := testutil.NewSchema(t) + "&application_name=" + testutil.NewSchemaName()
	g, err := gallery.Create(path, plainModel(t, heads.L1{}, 1), gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, g)
	name := path[strings.LastIndex(path, "=")+1:]
	done := make(chan struct{})
	var killer, clients sync.WaitGroup
	killer.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				testutil.PostgresExec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", name)
			}
		}
	})
	const each, several = 15, 4
	for client := range several {
		clients.Go(func() {
			for i := range each {
				class := fmt.Sprintf("class %d of %d", i, client)
				limited, cancel := context.WithTimeout(ctx, 30*time.Second)
				defer cancel()
				if _, err := g.Request(limited, "").EnrollEmbeddings(class, []float32{float32(i)}); err != nil {
					t.Errorf("enroll: %v", err)
				}
				if found, err := g.Request(limited, "").VerifyEmbedding(class, []float32{float32(i)}); err != nil || found.Distance != 0 {
					t.Errorf("verify: %+v, %v", found, err)
				}
			}
		})
	}
	clients.Wait()
	close(done)
	killer.Wait()
	if n, err := g.Request(ctx, "").Len(); n != each*several || err != nil {
		t.Errorf("found %d examples, %v, want %d", n, err, each*several)
	}
}

// With an index results are marked as approximate and, for so few examples, equal to those
// without, in all processes; also after enrolling and forgetting.
func TestPostgresIndex(t *testing.T) {
	testutil.NeedPostgres(t)
	for _, head := range heads.Names {
		model := weightedModel(t, head, 6)
		g := create(t, model, gallery.Options{})
		other, err := gallery.Open(g.Path(), model, gallery.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer closeGallery(t, other)
		exact, err := gallery.Open(g.Path()+"&search=exact", model, gallery.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer closeGallery(t, exact)
		for class := range uint64(20) {
			enroll(t, g, fmt.Sprint("class ", class), noise(class, 6), noise(100+class, 6))
		}
		if err := g.Index(ctx); head == "signed-weighted-l1" {
			if err == nil || !strings.Contains(err.Error(), "negative weight") {
				t.Errorf("%s: found error %v", head, err)
			}
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		check := func() {
			t.Helper()
			for seed := range uint64(10) {
				want := identify(t, exact, noise(200+seed, 6), 5)
				for _, g := range []*gallery.Gallery{g, other} {
					found := identify(t, g, noise(200+seed, 6), 5)
					if diff := cmp.Diff(want.Candidates, found.Candidates); diff != "" {
						t.Fatalf("%s: image %d (-exact +indexed):\n%s", head, seed, diff)
					}
					if !found.Approximate || found.Incomplete || want.Approximate {
						t.Fatalf("%s: found %+v and, exactly, %+v", head, found, want)
					}
				}
			}
		}
		check()
		enroll(t, other, "late", noise(3, 6))
		if _, err := other.Forget("class 7"); err != nil {
			t.Fatal(err)
		}
		check()
		if err := other.Index(ctx); err != nil { // anew
			t.Fatal(err)
		}
		check()
	}
}

// Galleries that are searched exactly refuse an index.
func TestIndexRefusals(t *testing.T) {
	if testutil.InPostgres() {
		prototypes := create(t, plainModel(t, heads.L2{}, 1), gallery.Options{Rule: gallery.Prototype})
		if err := prototypes.Index(ctx); err == nil || !strings.Contains(err.Error(), "prototypes change") {
			t.Errorf("prototypes: found error %v", err)
		}
		return
	}
	g := create(t, plainModel(t, heads.L2{}, 1), gallery.Options{})
	if err := g.Index(ctx); err == nil || !strings.Contains(err.Error(), "is searched exactly, expected one in PostgreSQL") {
		t.Errorf("found error %v", err)
	}
}

// An index of half precision selects candidates, which are measured in full; large values
// do not fit into it.
func TestPostgresHalfIndex(t *testing.T) {
	testutil.NeedPostgres(t)
	path := testutil.NewSchema(t) + "&index_type=halfvec&ef_search=100&m=8&ef_construction=40"
	g, err := gallery.Create(path, plainModel(t, heads.L2{}, 2), gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, g)
	for i := range 50 {
		if err := g.EnrollEmbeddings(fmt.Sprint("class ", i), []float32{float32(i) / 3, 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Index(ctx); err != nil {
		t.Fatal(err)
	}
	found, err := g.IdentifyEmbeddings([][]float32{{10.0 / 3, 1}}, 3)
	if err != nil || !found[0].Approximate || found[0].Incomplete || found[0].Candidates[0].Distance != 0 || found[0].Candidates[0].Class != "class 10" {
		t.Errorf("found %+v, %v", found, err)
	}
	if err := g.EnrollEmbeddings("large", []float32{1e6, 0}); err == nil || !strings.Contains(err.Error(), "beyond 65504") {
		t.Errorf("found error %v", err)
	}
	exact, err := gallery.Open(path+"&search=exact", g.Model(), gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, exact)
	if found, err := exact.IdentifyEmbeddings([][]float32{{0, 1}}, 60); err != nil || found[0].Approximate || len(found[0].Candidates) != 50 {
		t.Errorf("found %+v, %v", found, err)
	}
	// Without an iterative scan an index gives no more rows than its search breadth.
	narrow, err := gallery.Open(strings.Replace(path, "ef_search=100", "ef_search=5&iterative_scan=off", 1), g.Model(), gallery.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGallery(t, narrow)
	if found, err := narrow.IdentifyEmbeddings([][]float32{{0, 1}}, 40); err != nil || !found[0].Approximate || !found[0].Incomplete || len(found[0].Candidates) >= 40 {
		t.Errorf("found %+v, %v", found, err)
	}
}

// More features than pgvector has are an error before anything is made.
func TestPostgresTooManyFeatures(t *testing.T) {
	testutil.NeedPostgres(t)
	size := imaging.Size{Height: 1, Width: 16001, Channels: 1}
	model, err := likeness.New(backbone.Network{Name: "plain", Size: size, Blocks: []graph.Block{graph.Flatten{}}}, heads.L2{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	path := testutil.NewSchema(t)
	if err := closed(gallery.Create(path, model, gallery.Options{})); err == nil || !strings.Contains(err.Error(), "16001 features, expected up to 16000") {
		t.Errorf("found error %v", err)
	}
	if _, err := gallery.Describe(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("found error %v", err)
	}
}

// The tests of PostgreSQL are said to be skipped where there is none.
func TestPostgres(t *testing.T) { testutil.NeedPostgres(t) }
