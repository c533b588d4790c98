// SPDX-License-Identifier: MPL-2.0

package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/daemon"
)

// schema is the part of JSON Schema that the document uses.
type schema struct {
	Ref                  string             `json:"$ref"`
	Type                 any                `json:"type"`
	Required             []string           `json:"required"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties *bool              `json:"additionalProperties"`
	Items                *schema            `json:"items"`
	Enum                 []any              `json:"enum"`
	Const                any                `json:"const"`
}

type document struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]struct{ Schema *schema }
		}
	}
	Components struct{ Schemas map[string]*schema }
}

func described(h *host) document {
	h.t.Helper()
	_, _, body := h.do(h.request(http.MethodGet, "/api/v1/openapi.json", ""))
	var doc document
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		h.t.Fatal(err)
	}
	return doc
}

// check says where a value is not what the schema says.
func (d document) check(at string, s *schema, v any) error {
	if s == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		if d.Components.Schemas[name] == nil {
			return fmt.Errorf("%s: there is no schema %s", at, name)
		}
		return d.check(at, d.Components.Schemas[name], v)
	}
	if s.Enum != nil && !slices.Contains(s.Enum, v) || s.Const != nil && s.Const != v {
		return fmt.Errorf("%s: %v is none of %v%v", at, v, s.Enum, s.Const)
	}
	kind := map[string]bool{"string": false, "boolean": false, "integer": false, "number": false, "array": false, "object": false}
	switch v := v.(type) {
	case string:
		kind["string"] = true
	case bool:
		kind["boolean"] = true
	case float64:
		kind["integer"], kind["number"] = v == float64(int64(v)), true
	case []any:
		kind["array"] = true
		for i, e := range v {
			if err := d.check(fmt.Sprintf("%s[%d]", at, i), s.Items, e); err != nil {
				return err
			}
		}
	case map[string]any:
		kind["object"] = true
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				return fmt.Errorf("%s: %s is missing", at, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if s.Properties[name] == nil && s.AdditionalProperties != nil && !*s.AdditionalProperties {
				return fmt.Errorf("%s: %s is not described", at, name)
			}
			if err := d.check(at+"."+name, s.Properties[name], v[name]); err != nil {
				return err
			}
		}
	}
	if name, ok := s.Type.(string); ok && !kind[name] {
		return fmt.Errorf("%s: %v is no %s", at, v, name)
	}
	return nil
}

// TestDocument holds that the document and the handlers have the same routes.
func TestDocument(t *testing.T) {
	h := start(t, nil)
	doc := described(h)
	var written []string
	for path, operations := range doc.Paths {
		for method := range operations {
			written = append(written, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(written)
	if diff := cmp.Diff(written, api.Routes()); diff != "" {
		t.Errorf("(-openapi.json +handlers)\n%s", diff)
	}
	for _, r := range []struct{ method, path, allow string }{
		{http.MethodGet, "/api/v1/nothing", ""},
		{http.MethodGet, "/index.html", ""},
		{http.MethodPost, "/", "GET"},
		{http.MethodPost, "/api/v1/plugins", "GET"},
		{http.MethodGet, greetPath, "POST"},
	} {
		want := http.StatusNotFound
		if r.allow != "" {
			want = http.StatusMethodNotAllowed
		}
		status, header, body := h.do(h.request(r.method, r.path, ""))
		if status != want || header.Get("Allow") != r.allow || header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: got %d, Allow %q, %s", r.method, r.path, status, header.Get("Allow"), body)
		}
	}
}

// TestAnswersAreDescribed holds that every answer has the form, and one of the
// statuses, that the document gives it.
func TestAnswersAreDescribed(t *testing.T) {
	h := start(t, func(o *api.Options, _ *daemon.Options) { o.Probe = walk })
	doc := described(h)
	call := "/api/v1/plugins/{name}/kinds/{kind}/methods/{method}"
	for _, tc := range []struct{ method, pattern, path, body string }{
		{"get", "/healthz", "/healthz", ""},
		{"get", "/readyz", "/readyz", ""},
		{"get", "/metrics", "/metrics", ""},
		{"get", "/api/v1/openapi.json", "/api/v1/openapi.json", ""},
		{"get", "/api/v1/host", "/api/v1/host", ""},
		{"get", "/api/v1/kinds", "/api/v1/kinds", ""},
		{"get", "/api/v1/plugins", "/api/v1/plugins", ""},
		{"get", "/api/v1/plugins/{name}", "/api/v1/plugins/greeter", ""},
		{"get", "/api/v1/plugins/{name}", "/api/v1/plugins/nobody", ""},
		{"post", "/api/v1/plugins/{name}/probe", h.probePath(), ""},
		{"post", "/api/v1/plugins/{name}/probe", "/api/v1/plugins/greeter/probe?endpoint=x", ""},
		{"get", "/api/v1/history", "/api/v1/history", ""},
		{"get", "/api/v1/history", "/api/v1/history?since=yesterday", ""},
		{"get", "/api/v1/plugins/{name}/history", "/api/v1/plugins/nobody/history", ""},
		{"post", call, greetPath, `["Ada"]`},
		{"post", call, greetPath, `["nobody"]`},
		{"get", "/api/v1/history", "/api/v1/history", ""}, // with calls
		{"get", "/api/v1/plugins/{name}/history", "/api/v1/plugins/greeter/history?since=0", ""},
		{"post", call, greetPath, `[]`},
		{"post", call, strings.Replace(greetPath, "Greet", "X", 1), `[]`},
	} {
		status, header, body := h.do(h.request(strings.ToUpper(tc.method), tc.path, tc.body))
		response, ok := doc.Paths[tc.pattern][tc.method].Responses[fmt.Sprint(status)]
		if !ok {
			t.Errorf("%s: status %d is not described", tc.path, status)
			continue
		}
		media, _, _ := strings.Cut(header.Get("Content-Type"), ";")
		content, ok := response.Content[media]
		if !ok {
			t.Errorf("%s: %d as %s is not described", tc.path, status, media)
			continue
		}
		if strings.HasSuffix(media, "json") {
			var v any
			if err := json.Unmarshal([]byte(body), &v); err != nil {
				t.Errorf("%s: %v", tc.path, err)
			}
			if err := doc.check(tc.path, content.Schema, v); err != nil {
				t.Error(err)
			}
		}
	}
	lines := h.open()
	for _, schema := range []string{"EventsBegin", "Event"} {
		name, data := next(t, lines), next(t, lines)
		var v any
		if err := json.Unmarshal([]byte(strings.TrimPrefix(data, "data: ")), &v); err != nil {
			t.Fatalf("%s, %s: %v", name, data, err)
		}
		if err := doc.check(schema, doc.Components.Schemas[schema], v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		h.unready() // so that there is something to tell
	}
}
