// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestProfilesAreAskedFor holds that no program shows its profiles because it links this
// package.
func TestProfilesAreAskedFor(t *testing.T) {
	answer := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/debug/pprof/heap", nil))
	if answer.Code != http.StatusNotFound {
		t.Errorf("http.DefaultServeMux has profiles: %d", answer.Code)
	}
}

func TestOnLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true, "LocalHost:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "localhost.evil.example:1": false, "127.0.0.1": false, "": false,
	} {
		if onLoopback(address) != want {
			t.Errorf("%q is on loopback: %v, want %v", address, !want, want)
		}
	}
}
