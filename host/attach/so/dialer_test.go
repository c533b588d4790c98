// SPDX-License-Identifier: MPL-2.0

//go:build cgo && (linux || darwin || freebsd)

package so

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/dialertest"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

func dialerFor(t testing.TB, c attach.Contract) conn.Dialer {
	t.Helper()
	d, err := Dialer(Options{Contract: c})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func contract() attach.Contract {
	return attach.Contract{
		Handshake: commons.Handshake(),
		Versions:  commons.Versions(plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{}}),
	}
}

func objectAt(path string) target.Endpoint {
	return target.Endpoint{ID: target.MakeID("zh", path), Plugin: "zh", Placement: target.InProcess, Address: path}
}

// TestConformance loads the test's shared object into the test itself, and then
// replaces its file: a package can be loaded only once in a process.
func TestConformance(t *testing.T) {
	path := servedObject(t)
	dialertest.Run(t, dialertest.Harness{
		Dialer:    dialerFor,
		Endpoint:  func(testing.TB) target.Endpoint { return objectAt(path) },
		NotPlugin: func(t testing.TB) target.Endpoint { return objectAt(text(t)) },
		Describes: true,
	})
	t.Run("changed file", func(t *testing.T) { changed(t, path) })
}

// changed writes over the file of what is loaded, in place.
func changed(t *testing.T, path string) {
	dialer := dialerFor(t, contract())
	before, err := dialer.Dial(t.Context(), objectAt(path))
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if err := os.WriteFile(path, []byte("a newer one"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := before.Ping(t.Context()); err != nil {
		t.Errorf("a session with what was loaded before: %v", err)
	}
	e := objectAt(path)
	e.Fingerprint = "sha256:" + strings.Repeat("0", 64)
	_, err = dialer.Dial(t.Context(), e)
	if err == nil || !strings.Contains(err.Error(), "restart the host") || !errors.Is(err, conn.ErrPermanent) {
		t.Errorf("dial the changed file: %v, want a permanent error that says what to do", err)
	}
}

// text is a text file with the name of a shared object.
func text(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho hello\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileProblems(t *testing.T) {
	stale := objectAt(text(t))
	stale.Fingerprint = "sha256:" + strings.Repeat("0", 64)
	cases := map[string]struct {
		reason    string
		endpoint  target.Endpoint
		want      string
		permanent bool
	}{
		"absent":    {"it may come back", objectAt(filepath.Join(t.TempDir(), "absent.so")), "no such file", false},
		"directory": {"a directory stays one", objectAt(t.TempDir()), "no regular file", true},
		"replaced":  {"what was found is what is loaded", stale, "has changed since it was found", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := dialerFor(t, contract()).Dial(t.Context(), tc.endpoint)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), tc.endpoint.Address) {
				t.Fatalf("%s: %v, want %q and the file", tc.reason, err, tc.want)
			}
			if got := errors.Is(err, conn.ErrPermanent); got != tc.permanent {
				t.Errorf("%s: permanent %v, want %v", tc.reason, got, tc.permanent)
			}
		})
	}
}

func TestNoCopy(t *testing.T) {
	d, err := Dialer(Options{Contract: contract(), TempDir: "/nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Dial(t.Context(), objectAt(text(t))); err == nil || !strings.Contains(err.Error(), "make a private copy") {
		t.Errorf("without a place for the copy: %v", err)
	}
}
