// SPDX-License-Identifier: MPL-2.0

package child_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/listen"
)

// TestRequest holds that a child reads what its host has said, and that it is not told
// of what the host does not ask for.
func TestRequest(t *testing.T) {
	bare := child.Request{Versions: []int{1}}.Env()
	if want := []string{"PLUGIN_MIN_PORT=0", "PLUGIN_MAX_PORT=0", "PLUGIN_PROTOCOL_VERSIONS=1"}; !slices.Equal(bare, want) {
		t.Errorf("a bare request is %q, want %q", bare, want)
	}
	full := child.Request{
		Versions: []int{1, 7}, MinPort: 10000, MaxPort: 25000, SocketDir: "/d", SocketGroup: "g",
		Cert: []byte("PEM"), MultiplexGRPC: true, EndWithHost: true,
	}
	for _, entry := range full.Env() {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
	}
	if got := child.VersionsFromEnv(hclog.NewNullLogger()); !slices.Equal(got, full.Versions) {
		t.Errorf("versions %v", got)
	}
	ports, err := listen.PortsFromEnv()
	if want := (listen.Ports{Low: 10000, High: 25000}); ports != want || err != nil {
		t.Errorf("ports %+v, %v", ports, err)
	}
	if got, want := listen.SocketsFromEnv(), (listen.Sockets{Dir: "/d", Group: "g"}); got != want {
		t.Errorf("sockets %+v", got)
	}
	if !child.TakeEndWithHost() || child.TakeEndWithHost() {
		t.Error("the child is not told once that it ends with its host")
	}
}

// TestOwnEnv holds what a process that is both host and plugin keeps from its children.
func TestOwnEnv(t *testing.T) {
	t.Setenv(env.Host, "true")
	t.Setenv(env.ClientCert, "mine")
	t.Setenv(env.UnixSocketDir, "/shared")
	t.Setenv("OTHER", "x")
	inherited := child.HostEnv()
	for entry, want := range map[string]bool{
		env.Host + "=true": false, env.ClientCert + "=mine": false, env.UnixSocketDir + "=/shared": true, "OTHER=x": true,
	} {
		if slices.Contains(inherited, entry) != want {
			t.Errorf("%s is inherited: %v, want %v", entry, !want, want)
		}
	}
	given := []string{env.Host + "=true", env.ClientCert + "=chosen", env.Name + "=chosen", "OTHER=x"}
	if diff := cmp.Diff(given[1:], child.WithoutOwn(given)); diff != "" {
		t.Error(diff)
	}
}

// FuzzVersionsFromEnv is PLUGIN_PROTOCOL_VERSIONS, which a host sets.
func FuzzVersionsFromEnv(f *testing.F) {
	for _, text := range []string{"", "1,2", " 2 ,, x", "999999999999999999999", "-1", "+5", "1\x1b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\x00") {
			return // no environment holds it
		}
		t.Setenv(env.ProtocolVersions, text)
		got := child.VersionsFromEnv(hclog.NewNullLogger())
		for field := range strings.SplitSeq(text, ",") {
			if v, err := strconv.Atoi(strings.TrimSpace(field)); err == nil && (len(got) == 0 || got[0] != v) {
				t.Fatalf("%q: %d is not read in its place", text, v)
			} else if err == nil {
				got = got[1:]
			}
		}
		if len(got) != 0 {
			t.Fatalf("%q: more is read: %v", text, got)
		}
	})
}
