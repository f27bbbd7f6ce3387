package serve

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// schema is what the test reads of a JSON schema.
type schema struct {
	Ref        string            `json:"$ref"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
	OneOf      []schema          `json:"oneOf"`
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

// description is what the server says of itself.
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

// fieldsOf are the paths of all fields of answers by a schema, such as
// "results[].class".
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

// fieldsIn are the paths of all fields of an answer.
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

// pathOf is a route's as a description and a request have it.
func pathOf(r route) string { return strings.TrimSuffix(r.path, "{$}") }

// Every route is described, with the fields of its body in both forms, and no other.
func TestDescriptionHasAllRoutes(t *testing.T) {
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

// Every field that the server gives is described, and every one that is described is
// given; refusals are described with their codes.
func TestDescriptionHasAllFields(t *testing.T) {
	s := start(t, Options{})
	described := describe(t, s)
	grey := greys(1, 2, 3)
	for _, c := range []struct {
		path    string // as it is described
		request *http.Request
		code    string
	}{
		{"/v1/embed", form("/v1/embed", "image", grey), "200"},
		{"/v1/compare", form("/v1/compare", "a", grey, "b", grey), "200"},
		{"/v1/identify", form("/v1/identify", "image", grey), "409"},
		{"/v1/enroll", form("/v1/enroll", "class", "a", "image", grey), "200"},
		{"/v1/identify", form("/v1/identify", "image", grey), "200"},
		{"/v1/verify", form("/v1/verify", "class", "a", "image", grey), "200"},
		{"/v1/verify", form("/v1/verify", "class", "b", "image", grey), "404"},
		{"/v1/classes", plainRequest("GET", "/v1/classes", ""), "200"},
		{"/v1/classes/{name}", plainRequest("DELETE", "/v1/classes/a", ""), "200"},
		{"/v1/classes/{name}", plainRequest("DELETE", "/v1/classes/a", ""), "404"},
		{"/healthz", plainRequest("GET", "/healthz", ""), "200"},
		{"/v1/embed", form("/v1/embed"), "400"},
		{"/v1/embed", form("/v1/embed", "image", "no image"), "422"},
		{"/v1/embed", posted("/v1/embed", "text/plain", ""), "415"},
		{"/v1/embed", form("/v1/embed", "image", strings.Repeat("x", 17<<20)), "413"},
	} {
		name := c.request.Method + " " + c.path + " " + c.code
		w := ask(s, c.request)
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
