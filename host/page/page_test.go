// SPDX-License-Identifier: MPL-2.0

package page

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func serve() http.Handler {
	mux := http.NewServeMux()
	for _, f := range Files() {
		mux.Handle("GET "+f.Pattern, f)
	}
	return mux
}

// TestFiles holds what each file is served with, also below a path.
func TestFiles(t *testing.T) {
	server := httptest.NewServer(http.StripPrefix("/below", serve()))
	defer server.Close()
	for path, media := range map[string]string{
		"/below/":         "text/html; charset=utf-8",
		"/below/page.css": "text/css; charset=utf-8",
		"/below/page.js":  "text/javascript; charset=utf-8",
	} {
		answer, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		h := answer.Header
		if answer.StatusCode != http.StatusOK || h.Get("Content-Type") != media || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s, %v", path, answer.Status, h)
		}
		policy := h.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		again, _ := http.NewRequest(http.MethodGet, server.URL+path, nil)
		again.Header.Set("If-None-Match", h.Get("ETag"))
		answer, err = server.Client().Do(again)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %s", path, answer.Status)
		}
	}
}

// TestSelfContained holds that nothing in the files asks another host, begins at the root
// of its own, or makes markup of a text.
func TestSelfContained(t *testing.T) {
	for name, pattern := range map[string]string{
		"another host":                 `https?://|["'(]//`,
		"an address from the root":     `(src|href|fetch|EventSource|url)\s*[=(]\s*["'` + "`" + `]/`,
		"markup or script of a text":   `innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|DOMParser`,
		"a style or a script in place": `<style|<script>|style=|\son[a-z]+="`,
	} {
		for file, content := range map[string][]byte{"page.html": html, "page.css": style, "page.js": script} {
			// Names of namespaces look like addresses, and nobody asks for them.
			content = bytes.ReplaceAll(content, []byte("http://www.w3.org/2000/svg"), nil)
			if at := regexp.MustCompile(pattern).FindIndex(content); at != nil {
				t.Errorf("%s has %s: …%s…", file, name, content[max(0, at[0]-20):min(len(content), at[1]+20)])
			}
		}
	}
}
