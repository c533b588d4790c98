// SPDX-License-Identifier: MPL-2.0

// Package page is what a daemon shows people in a browser: one file of HTML, one of style
// and one of script, which reads the HTTP API beside it. Every address in it is relative,
// so it works below any path that ends with a slash; it asks no other host for anything.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"time"
)

//go:embed page.html
var html []byte

//go:embed page.css
var style []byte

//go:embed page.js
var script []byte

// policy is what the page may do: run its own script, look like its own style, and ask
// its own origin. No text becomes markup or script: trusted types are required, and there
// are none.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// File is one file of the page. It serves GET and HEAD.
type File struct {
	// Pattern is its path, as http.ServeMux takes it.
	Pattern string

	name, media, tag string
	content          []byte
}

// Files gives all files of the page.
func Files() []File {
	all := []File{
		{Pattern: "/{$}", name: "page.html", media: "text/html; charset=utf-8", content: html},
		{Pattern: "/page.css", name: "page.css", media: "text/css; charset=utf-8", content: style},
		{Pattern: "/page.js", name: "page.js", media: "text/javascript; charset=utf-8", content: script},
	}
	for i := range all {
		sum := sha256.Sum256(all[i].content)
		all[i].tag = `"` + hex.EncodeToString(sum[:8]) + `"`
	}
	return all
}

// ServeHTTP implements http.Handler.
func (f File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.media)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	// A browser asks each time whether it has changed: files of two builds must not meet.
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.tag)
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.content))
}
