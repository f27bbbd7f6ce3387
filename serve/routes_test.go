package serve

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/explain"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
)

func pointer[T any](v T) *T { return &v }

// Images are embedded in order, from a form and from JSON.
func TestEmbed(t *testing.T) {
	s := start(t, Options{})
	want := embedded{Model: s.identity, Dimensions: 3, Embeddings: [][]float32{{1, 2, 3}, {200, 0, 9}}}
	for name, r := range map[string]*http.Request{
		"form": form("/v1/embed", "image", grayPNG(1, 2, 3), "image", grayPNG(200, 0, 9)),
		"json": newRequest("/v1/embed", "application/json", `{"image":[`+inBase64(grayPNG(1, 2, 3))+`,`+inBase64(grayPNG(200, 0, 9))+`]}`),
	} {
		if diff := cmp.Diff(want, answer[embedded](t, s, r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	one := newRequest("/v1/embed", "application/json; charset=utf-8", `{"image":`+inBase64(grayPNG(1, 2, 3))+`}`)
	if found := answer[embedded](t, s, one); len(found.Embeddings) != 1 {
		t.Errorf("one image in JSON: found %v", found.Embeddings)
	}
}

// A comparison has the distance, the decision and the explanation.
func TestCompare(t *testing.T) {
	s := start(t, Options{})
	want := compared{
		Distance: 9, Threshold: pointer(10.0), Same: pointer(true), Head: "l1",
		Explanation: &explanation{
			Formula: "|xⱼ − yⱼ|", AddsUpTo: "distance", Total: 9, Dimensions: 3,
			Deciding: []share{{2, 6, 6.0 / 9}, {0, 3, 3.0 / 9}, {1, 0, 0}},
		},
		Warnings: []string{},
	}
	for name, r := range map[string]*http.Request{
		"form": form("/v1/compare", "b", grayPNG(4, 5, 0), "a", grayPNG(1, 5, 6)),
		"json": newRequest("/v1/compare", "application/json", `{"a":`+inBase64(grayPNG(1, 5, 6))+`,"b":`+inBase64(grayPNG(4, 5, 0))+`}`),
	} {
		if diff := cmp.Diff(want, answer[compared](t, s, r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	s.model.Threshold = nil
	if found := answer[compared](t, s, form("/v1/compare", "a", grayPNG(1, 5, 6), "b", grayPNG(4, 5, 0))); found.Same != nil || found.Threshold != nil {
		t.Errorf("without a threshold: found %+v, want nothing decided", found)
	}
}

// An explanation has the parts of the cosine similarity for each place, here for each pixel; a model
// that cannot be explained is refused, and so are images that cannot be decoded.
func TestExplain(t *testing.T) {
	s := startModel(t, plainModel(t, heads.Cosine{}, 3), Options{})
	place := func(values ...float64) explain.Map {
		return explain.Map{Height: 1, Width: 3, Values: values, X: []float64{0.5, 1.5, 2.5}, Y: []float64{0.5}, Area: imaging.Area{Right: 3, Bottom: 1}, ImageWidth: 3, ImageHeight: 1}
	}
	// (3, 4, 0) and (4, 0, 3) have the norm 5: only the first pixels match, 12 of 25.
	want := explain.Explanation{Similarity: 0.48, A: place(0.48, 0, 0), B: place(0.48, 0, 0)}
	near := cmpopts.EquateApprox(0, 1e-6)
	if diff := cmp.Diff(want, answer[explain.Explanation](t, s, form("/v1/explain", "a", grayPNG(3, 4, 0), "b", grayPNG(4, 0, 3))), near); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		server  *Server
		request *http.Request
		code    int
		text    string
	}{
		{s, form("/v1/explain", "a", "no image", "b", grayPNG(4, 0, 3)), 422, "a: not a readable image"},
		{s, form("/v1/explain", "a", grayPNG(4, 0, 3)), 400, "b: found none"},
		{start(t, Options{}), form("/v1/explain", "a", grayPNG(1, 2, 3), "b", grayPNG(4, 0, 3)), 409, "found the head l1, expected cosine"},
	} {
		if w := ask(test.server, test.request); w.Code != test.code || !strings.Contains(w.Body.String(), test.text) {
			t.Errorf("found %d %s, expected %d %q", w.Code, w.Body, test.code, test.text)
		}
	}
}

// Enrollment, identification, verification and deletion, one after the other.
func TestGallery(t *testing.T) {
	s := start(t, Options{})
	check := func(what, diff string) {
		t.Helper()
		if diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("enroll", cmp.Diff(enrolled{"Greek/α", 2, 2, []string{}}, answer[enrolled](t, s, form("/v1/enroll", "class", "Greek/α", "image", grayPNG(0, 0, 0), "image", grayPNG(0, 0, 9)))))
	check("enroll more", cmp.Diff(enrolled{"Greek/α", 1, 3, []string{}}, answer[enrolled](t, s, form("/v1/enroll", "class", "Greek/α", "image", grayPNG(0, 1, 0)))))
	check("enroll JSON", cmp.Diff(enrolled{"β", 1, 1, []string{}}, answer[enrolled](t, s, newRequest("/v1/enroll", "application/json", `{"class":"β","image":`+inBase64(grayPNG(100, 0, 0))+`}`))))
	check("classes", cmp.Diff(classes{[]class{{"Greek/α", 3}, {"β", 1}}, 4, "nearest", pointer(10.0), nil}, answer[classes](t, s, plainRequest("GET", "/v1/classes", ""))))

	want := identified{[]identification{
		{pointer("β"), pointer(true), pointer(10.0), false, false, []candidate{{"β", 2}}, nil},
		{nil, pointer(false), pointer(10.0), false, false, []candidate{{"Greek/α", 50}}, nil},
	}, []string{}}
	check("identify", cmp.Diff(want, answer[identified](t, s, form("/v1/identify", "image", grayPNG(98, 0, 0), "image", grayPNG(50, 0, 0), "candidates", "1"))))
	if all := answer[identified](t, s, newRequest("/v1/identify", "application/json", `{"candidates":7,"image":`+inBase64(grayPNG(0, 0, 0))+`}`)); len(all.Results[0].Candidates) != 2 {
		t.Errorf("identify: found %+v, want both classes", all)
	}
	if some := answer[identified](t, s, form("/v1/identify", "image", grayPNG(0, 0, 0))); len(some.Results[0].Candidates) != gallery.DefaultCandidates {
		t.Errorf("identify: found %+v, want the default number of candidates %d, as in the tool", some, gallery.DefaultCandidates)
	}
	check("verify", cmp.Diff(verified{"β", 5, pointer(10.0), pointer(true), []string{}}, answer[verified](t, s, form("/v1/verify", "class", "β", "image", grayPNG(95, 0, 0)))))

	check("forget", cmp.Diff(forgotten{"Greek/α", 3}, answer[forgotten](t, s, plainRequest("DELETE", "/v1/classes/Greek%2F%CE%B1", ""))))
	if left := s.options.Gallery.Classes(); len(left) != 1 || left[0].Name != "β" {
		t.Errorf("after forgetting: found %v, want β", left)
	}
}

// calibrated returns a server whose gallery has a threshold with a guarantee: x with the
// embeddings (0, 0, 0) and (0, 0, 4), and y with (90, 0, 0) and (98, 0, 0).
func calibrated(t *testing.T) *Server {
	t.Helper()
	s := start(t, Options{})
	g := s.options.Gallery
	err := errors.Join(g.EnrollEmbeddings("x", []float32{0, 0, 0}, []float32{0, 0, 4}), g.EnrollEmbeddings("y", []float32{90, 0, 0}, []float32{98, 0, 0}))
	if err != nil {
		t.Fatal(err)
	}
	images := &datasets.Dataset{Name: "unknown", Size: imaging.Size{Height: 1, Width: 3, Channels: 1}}
	for i, x := range []uint8{7, 20, 30} { // the nearest at 7 is accepted by none, one of 3 would be too many
		images.Classes, images.Labels, images.Images = append(images.Classes, strconv.Itoa(i)), append(images.Labels, i), append(images.Images, []uint8{x, 0, 0})
	}
	if _, err := g.CalibrateWithGuarantee(images, gallery.Guarantee{Rate: 0.5, Confidence: 0.8}); err != nil {
		t.Fatal(err)
	}
	return s
}

// A request with a confidence also gets the set of candidates, and the list of classes has the
// guarantee and what was enrolled since.
func TestSetAndGuarantee(t *testing.T) {
	s := calibrated(t)
	found := answer[identified](t, s, form("/v1/identify", "image", grayPNG(92, 0, 0), "image", grayPNG(50, 0, 0), "image", grayPNG(6, 0, 0), "confidence", " 0.5 "))
	near := cmpopts.EquateApprox(1e-5, 1e-4)
	threshold := pointer(7.0)
	want := identified{[]identification{ // one own distance is 4, the other 8: at 0.5 the rank is 2 of 2
		{pointer("y"), pointer(true), threshold, false, false, []candidate{{"y", 2}}, &set{0.5, 8, 2, []candidate{{"y", 2}}}},
		{nil, pointer(false), threshold, false, false, []candidate{{"y", 40}}, &set{0.5, 8, 2, []candidate{}}},
		{pointer("x"), pointer(true), threshold, false, false, []candidate{{"x", 6}}, &set{0.5, 8, 2, []candidate{{"x", 6}}}},
	}, []string{}}
	if diff := cmp.Diff(want, found, near); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	refused(t, s, form("/v1/identify", "image", grayPNG(1, 2, 3), "confidence", "0.9"), http.StatusConflict, "found 2, expected at least 10 for a confidence of 0.9")
	for since := range 2 {
		list := answer[classes](t, s, plainRequest("GET", "/v1/classes", ""))
		if diff := cmp.Diff(&guarantee{0.5, 0.8, "identify", since}, list.Guarantee); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		answer[enrolled](t, s, form("/v1/enroll", "class", "z", "image", grayPNG(200, 0, 0)))
	}
}

// Health and metrics; no metric contains the name of a class.
func TestHealthAndMetrics(t *testing.T) {
	s := start(t, Options{})
	answer[enrolled](t, s, form("/v1/enroll", "class", "secret", "image", grayPNG(0, 0, 0), "image", grayPNG(0, 0, 9)))
	answer[forgotten](t, s, plainRequest("DELETE", "/v1/classes/secret", ""))
	ask(s, plainRequest("DELETE", "/v1/classes/secret", ""))
	if found := answer[health](t, s, plainRequest("GET", "/healthz", "")); found.Status != "ok" {
		t.Errorf("healthz: found %+v", found)
	}
	text := ask(s, plainRequest("GET", "/metrics", "")).Body.String()
	for _, line := range []string{
		`likeness_requests_total{code="200",route="/v1/enroll"} 1`,
		`likeness_requests_total{code="200",route="/v1/classes/{name}"} 1`,
		`likeness_requests_total{code="404",route="/v1/classes/{name}"} 1`,
		`likeness_request_duration_seconds_count{route="/v1/enroll"} 1`,
		`likeness_images_embedded_total 2`,
		`likeness_batch_images_sum 2`,
		`likeness_queue_images 0`,
		"# TYPE likeness_request_duration_seconds histogram",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
	if strings.Contains(text, "secret") {
		t.Error("metrics name a class")
	}
	s.Close()
	refused(t, s, plainRequest("GET", "/healthz", ""), http.StatusServiceUnavailable, "shutting down")
	refused(t, s, form("/v1/embed", "image", grayPNG(1, 2, 3)), http.StatusServiceUnavailable, "shutting down")
}

// Without a gallery, comparing works and other routes tell how to use a gallery.
func TestWithoutGallery(t *testing.T) {
	s := startModel(t, plainModel(t, heads.L2{}, 3), Options{})
	answer[compared](t, s, form("/v1/compare", "a", grayPNG(1, 2, 3), "b", grayPNG(1, 2, 3)))
	for _, r := range []*http.Request{
		form("/v1/enroll", "class", "a", "image", grayPNG(1, 2, 3)),
		form("/v1/identify", "image", grayPNG(1, 2, 3)),
		form("/v1/verify", "class", "a", "image", grayPNG(1, 2, 3)),
		plainRequest("GET", "/v1/classes", ""),
		plainRequest("DELETE", "/v1/classes/a", ""),
	} {
		refused(t, s, r, http.StatusConflict, "--gallery FILE")
	}
}

// Classes of old galleries, whose names are not allowed for new classes, can be listed,
// identified and deleted; paths are decoded once.
func TestOddNamesOfOldGalleries(t *testing.T) {
	testutil.NeedFile(t)
	model := plainModel(t, heads.L1{}, 3)
	for _, name := range []string{"a\nb", "\x00", "\u202egnp", "a\u2028b", " a ", "caf\ufffd", "%2F", "a/b\n", "a?b#c\t"} {
		path := filepath.Join(t.TempDir(), "test.gallery")
		g, err := gallery.Create(path, model, gallery.Options{})
		if err == nil {
			err = errors.Join(g.EnrollEmbeddings("stand-in", []float32{1, 2, 3}), g.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		testutil.RenameClass(t, path, "stand-in", name)
		if g, err = gallery.Open(path, model, gallery.Options{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Close() })
		s := startModel(t, model, Options{Gallery: g})
		if found := answer[classes](t, s, plainRequest("GET", "/v1/classes", "")); found.Classes[0].Name != name {
			t.Errorf("%q: found %+v", name, found)
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		image := grayPNG(1, 2, 3)
		for _, r := range []*http.Request{
			form("/v1/verify", "class", name, "image", image),
			newRequest("/v1/verify", "application/json", `{"class":`+string(quoted)+`,"image":`+inBase64(image)+`}`),
		} {
			if found := answer[verified](t, s, r); found.Class != name || found.Distance != 0 {
				t.Errorf("%q: found %+v", name, found)
			}
		}
		if found := answer[enrolled](t, s, form("/v1/enroll", "class", name, "image", image)); found.Examples != 2 {
			t.Errorf("%q: found %+v", name, found)
		}
		if found := answer[forgotten](t, s, plainRequest("DELETE", "/v1/classes/"+url.PathEscape(name), "")); found.Class != name || found.Examples != 2 {
			t.Errorf("%q: found %+v", name, found)
		}
		if gallery.CheckClassName(name) != nil {
			refused(t, s, form("/v1/enroll", "class", name, "image", image), http.StatusBadRequest, "class: invalid class name")
		}
	}
}

// schema is the part of a JSON schema that the tests use.
type schema struct {
	Ref        string            `json:"$ref"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
	OneOf      []schema          `json:"oneOf"`
	Default    *int              `json:"default"`
}

type content map[string]struct {
	Schema schema `json:"schema"`
}

type operation struct {
	Security    *[]any `json:"security"`
	RequestBody *struct {
		Content content `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Content content `json:"content"`
	} `json:"responses"`
}

// description is the part of the OpenAPI document that the tests use.
type description struct {
	OpenAPI    string                          `json:"openapi"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

func describe(t testing.TB, s *Server) description {
	t.Helper()
	return decoded[description](t, ask(s, plainRequest("GET", "/openapi.json", "")))
}

// fieldsOf returns the paths of all fields of a schema, such as "results[].class".
func (d description) fieldsOf(s schema, prefix string, into map[string]bool) {
	if s.Ref != "" {
		d.fieldsOf(d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")], prefix, into)
	}
	for _, one := range s.OneOf {
		d.fieldsOf(one, prefix, into)
	}
	if s.Items != nil {
		d.fieldsOf(*s.Items, prefix+"[]", into)
	}
	for name, property := range s.Properties {
		into[prefix+"."+name] = true
		d.fieldsOf(property, prefix+"."+name, into)
	}
}

// fieldsIn returns the paths of all fields of an answer.
func fieldsIn(value any, prefix string, into map[string]bool) {
	switch value := value.(type) {
	case []any:
		for _, one := range value {
			fieldsIn(one, prefix+"[]", into)
		}
	case map[string]any:
		for name, one := range value {
			into[prefix+"."+name] = true
			fieldsIn(one, prefix+"."+name, into)
		}
	}
}

// pathOf returns the path of a route as the OpenAPI document and a request have it.
func pathOf(r route) string { return strings.TrimSuffix(r.path, "{$}") }

// The OpenAPI document has exactly the server's routes, with the fields of both kinds of
// bodies.
func TestOpenAPIRoutes(t *testing.T) {
	s := start(t, Options{})
	described := describe(t, s)
	if described.OpenAPI != "3.1.0" {
		t.Errorf("found version %q", described.OpenAPI)
	}
	left := map[string]operation{}
	for path, operations := range described.Paths {
		for method, o := range operations {
			left[strings.ToUpper(method)+" "+path] = o
		}
	}
	for _, r := range s.table() {
		name := r.method + " " + pathOf(r)
		o, found := left[name]
		delete(left, name)
		if !found {
			t.Errorf("%s is not described", name)
			continue
		}
		if free := o.Security != nil; free != r.open {
			t.Errorf("%s is said to be free: %v", name, free)
		}
		if (o.RequestBody != nil) != (len(r.fields) > 0) {
			t.Errorf("%s: of the body is said %v", name, o.RequestBody)
		}
		if o.RequestBody == nil {
			continue
		}
		var all, required []string
		for _, f := range r.fields {
			all = append(all, f.name)
			if !f.optional {
				required = append(required, f.name)
			}
		}
		slices.Sort(all)
		for _, media := range []string{"multipart/form-data", "application/json"} {
			body := o.RequestBody.Content[media].Schema
			if c, ok := body.Properties["candidates"]; ok && (c.Default == nil || *c.Default != gallery.DefaultCandidates) {
				t.Errorf("%s, %s: found candidates %+v, expected the default %d", name, media, c, gallery.DefaultCandidates)
			}
			if diff := cmp.Diff(all, slices.Sorted(maps.Keys(body.Properties))); diff != "" {
				t.Errorf("%s, fields in %s (-server +description):\n%s", name, media, diff)
			}
			if diff := cmp.Diff(required, body.Required); diff != "" {
				t.Errorf("%s, required in %s (-server +description):\n%s", name, media, diff)
			}
		}
	}
	for name := range left {
		t.Errorf("%s is described and is no route", name)
	}
}

// The OpenAPI document has exactly the fields and status codes of the server's answers.
func TestOpenAPIFields(t *testing.T) {
	s := start(t, Options{})
	described := describe(t, s)
	gray := grayPNG(1, 2, 3)
	for _, c := range []struct {
		path    string // as in the OpenAPI document
		request *http.Request
		code    string
	}{
		{"/v1/embed", form("/v1/embed", "image", gray), "200"},
		{"/v1/compare", form("/v1/compare", "a", gray, "b", gray), "200"},
		{"/v1/explain", form("/v1/explain", "a", gray, "b", gray), "200"},
		{"/v1/explain", form("/v1/explain", "a", gray, "b", gray), "409"},
		{"/v1/identify", form("/v1/identify", "image", gray), "409"},
		{"/v1/enroll", form("/v1/enroll", "class", "a", "image", gray), "200"},
		{"/v1/identify", form("/v1/identify", "image", gray, "confidence", "0.5"), "200"},
		{"/v1/verify", form("/v1/verify", "class", "a", "image", gray), "200"},
		{"/v1/verify", form("/v1/verify", "class", "b", "image", gray), "404"},
		{"/v1/classes", plainRequest("GET", "/v1/classes", ""), "200"},
		{"/v1/classes/{name}", plainRequest("DELETE", "/v1/classes/a", ""), "200"},
		{"/v1/classes/{name}", plainRequest("DELETE", "/v1/classes/a", ""), "404"},
		{"/healthz", plainRequest("GET", "/healthz", ""), "200"},
		{"/v1/embed", form("/v1/embed"), "400"},
		{"/v1/embed", form("/v1/embed", "image", "no image"), "422"},
		{"/v1/embed", newRequest("/v1/embed", "text/plain", ""), "415"},
		{"/v1/embed", form("/v1/embed", "image", strings.Repeat("x", 17<<20)), "413"},
	} {
		name := c.request.Method + " " + c.path + " " + c.code
		asked := s
		switch name {
		case "POST /v1/explain 200":
			asked = startModel(t, plainModel(t, heads.Cosine{}, 3), Options{})
		case "POST /v1/identify 200", "GET /v1/classes 200":
			asked = calibrated(t)
		}
		w := ask(asked, c.request)
		if w.Code != statusCode(c.code) {
			t.Errorf("%s: found %d %s", name, w.Code, w.Body)
			continue
		}
		var value any
		if err := json.Unmarshal(w.Body.Bytes(), &value); err != nil {
			t.Fatal(err)
		}
		given, said := map[string]bool{}, map[string]bool{}
		fieldsIn(value, "", given)
		described.fieldsOf(described.Paths[c.path][strings.ToLower(c.request.Method)].Responses[c.code].Content["application/json"].Schema, "", said)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(given)), slices.Sorted(maps.Keys(said))); diff != "" || len(given) == 0 {
			t.Errorf("%s (-server +description):\n%s", name, diff)
		}
	}
}

func statusCode(text string) (code int) {
	for _, digit := range text {
		code = 10*code + int(digit-'0')
	}
	return code
}

// The page of a model of color images does not offer to draw, and that of a model of gray ones
// does.
func TestPageOfColorImages(t *testing.T) {
	for channels, want := range map[int]string{1: "<body>", 3: `<body class="photographs">`} {
		network := backbone.Network{Size: imaging.Size{Height: 1, Width: 2, Channels: channels}, Blocks: []graph.Block{graph.Flatten{}}}
		model, err := likeness.New(network, heads.L1{}, imaging.Preprocessing{Size: network.Size}, 1)
		if err != nil {
			t.Fatal(err)
		}
		page := ask(startModel(t, model, Options{}), plainRequest("GET", "/", "")).Body.String()
		if !strings.Contains(page, want) {
			t.Errorf("%d channels: found no %s in the page", channels, want)
		}
		if length := ask(startModel(t, model, Options{}), plainRequest("GET", "/", "")).Header().Get("Content-Length"); length != strconv.Itoa(len(page)) {
			t.Errorf("%d channels: found the length %s, expected %d", channels, length, len(page))
		}
	}
}
