// SPDX-License-Identifier: MPL-2.0

package api

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/printable"

	"github.com/reattach/reattach/host/daemon"
)

// FuzzToken is the Authorization header of a request.
func FuzzToken(f *testing.F) {
	const secret = "0123456789abcdef"
	for _, header := range []string{"Bearer " + secret, "bearer  " + secret + " ", "Basic " + secret, secret, "", "Bearer", "Bearer " + secret + "0", "Bearer " + secret[:15], "Bearer\t" + secret} {
		f.Add(header)
	}
	path := filepath.Join(f.TempDir(), "token")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	token, err := newToken(path, hclog.NewNullLogger())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) {
		err := token.check(header)
		scheme, given, _ := strings.Cut(header, " ")
		if taken := strings.EqualFold(scheme, "bearer") && strings.TrimSpace(given) == secret; taken != (err == nil) {
			t.Fatalf("%q: %v", header, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Fatal("the error tells the token")
		}
	})
}

// FuzzTokenFile is the file of the token. What it holds can be sent, and nothing else
// is taken.
func FuzzTokenFile(f *testing.F) {
	for _, text := range []string{
		"0123456789abcdef\n", "0123456789abcdef\r\n\r\n", "short", "", strings.Repeat("x", maxToken+1), "0123456789abcdef\n0123456789abcdef\n", "0123456789abcde\x00", "  0123456789abcdef  x  ", "\u00a00123456789abcdef",
	} {
		f.Add(text)
	}
	path := filepath.Join(f.TempDir(), "token")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		token, err := newToken(path, hclog.NewNullLogger())
		if err != nil {
			if !strings.Contains(err.Error(), path) || len(err.Error()) > printable.MaxText+len(path) {
				t.Fatal(err)
			}
			return
		}
		secret := strings.TrimSpace(text)
		if len(secret) < minToken || len(text) > maxToken {
			t.Fatalf("a token of %d bytes in a file of %d is taken", len(secret), len(text))
		}
		sent, err := http.NewRequest(http.MethodPost, "http://127.0.0.1/", nil)
		if err != nil {
			t.Fatal(err)
		}
		sent.Header.Set("Authorization", "Bearer "+secret)
		var wire strings.Builder
		if err := sent.Write(&wire); err != nil || !strings.Contains(wire.String(), "Bearer "+secret+"\r\n") || strings.ContainsFunc(secret, control) {
			t.Fatalf("%q is taken, and no client can send it", secret)
		}
		if err := token.check(sent.Header.Get("Authorization")); err != nil {
			t.Fatalf("%q: %v", secret, err)
		}
		if token.check("Bearer "+secret+"x") == nil || token.check("Bearer "+secret[1:]) == nil && strings.TrimSpace(secret[1:]) != secret {
			t.Fatalf("another token than %q is taken", secret)
		}
	})
}

// FuzzHost is the Host of a request to a loopback listener: a page must not reach it
// under a name of its own.
func FuzzHost(f *testing.F) {
	for _, host := range []string{"localhost:8080", "127.0.0.1", "[::1]:8080", "evil.example", "evil.example:80", "", "localhost.evil.example", "[localhost]", "127.0.0.1.evil.example:1", "\x1b"} {
		f.Add(host)
	}
	s := &Server{loopback: true}
	f.Fuzz(func(t *testing.T, host string) {
		passed := false
		w := httptest.NewRecorder()
		s.knownHost(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true })).
			ServeHTTP(w, &http.Request{Method: http.MethodGet, Host: host})
		name := host
		if only, _, err := net.SplitHostPort(host); err == nil {
			name = only
		}
		if passed && strings.Trim(name, "[]") != "localhost" && net.ParseIP(strings.Trim(name, "[]")) == nil {
			t.Fatalf("%q passes", host)
		}
		if !passed {
			checkProblem(t, w, http.StatusForbidden)
		}
	})
}

// checkProblem checks that an answer is a problem, which a terminal can show.
func checkProblem(t *testing.T, w *httptest.ResponseRecorder, status int) (p problem) {
	t.Helper()
	line, ok := strings.CutSuffix(w.Body.String(), "\n")
	if err := json.Unmarshal([]byte(line), &p); err != nil || !ok || printable.Line(line) != line {
		t.Fatalf("%v: %q", err, w.Body)
	}
	if w.Code != status || p.Status != status || p.Title == "" || len(p.Detail) > 3*printable.MaxText {
		t.Fatalf("%d: %+v", w.Code, p)
	}
	return p
}

// FuzzPluginProblem is an error of a plugin as an HTTP client reads it: nothing that a
// plugin says passes for another failure than its own.
func FuzzPluginProblem(f *testing.F) {
	for _, text := range []string{"no", "", "\x1b\u202e\xff", strings.Repeat("好", 5000), `"}{`, daemon.ErrUnknown.Error(), daemon.ErrArguments.Error()} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := httptest.NewRecorder()
		writeProblem(w, problemOf(errors.New(text)))
		p := checkProblem(t, w, http.StatusInternalServerError)
		if p.MayHaveRun != nil || p.Type != typePlugin && p.Type != "about:blank" || w.Header().Get("Retry-After") != "" {
			t.Fatalf("%q became %+v", text, p)
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); len(text) <= printable.MaxText && len([]rune(p.Detail)) < len([]rune(want)) {
			t.Fatalf("%q became %q", text, p.Detail)
		}
	})
}
