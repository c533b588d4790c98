// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// childVariable makes this test's program a plugin.
const childVariable = "EXPOSE_TEST_CHILD"

var testCookie = plugin.HandshakeConfig{MagicCookieKey: "EXPOSE_TEST_PLUGIN", MagicCookieValue: "yes"}

// nothing is a kind without methods.
type nothing struct{ plugin.NetRPCUnsupportedPlugin }

func (nothing) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (nothing) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.ErrUnsupported
}

func serveTestChild() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  testCookie,
		VersionedPlugins: map[int]plugin.PluginSet{5: {"nothing": nothing{}}},
		GRPCServer:       plugin.DefaultGRPCServer,
	})
}

// newTestPool has this test's program as its executable.
func newTestPool(t *testing.T, o Options) (p *pool, failed context.Context) {
	t.Helper()
	t.Setenv(childVariable, "true")
	o.Command, o.Cookie = []string{os.Args[0]}, testCookie
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	failed, fail := context.WithCancelCause(context.Background())
	t.Cleanup(func() { fail(nil) })
	p = newPool(o, fail)
	t.Cleanup(p.close)
	return p, failed
}

// attached is a host of a test. Its session has ended when end is called.
func attached(t *testing.T, versions ...int) (host *plugin.RelayHost, end context.CancelFunc) {
	t.Helper()
	life, end := context.WithCancel(context.Background())
	t.Cleanup(end)
	return &plugin.RelayHost{
		Hello: true, Cookie: testCookie, Versions: versions, Name: "host",
		Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, Done: life.Done(),
	}, end
}

// TestVersionsOfOneHost has a host come first that has none of the executable's versions. It
// is refused, and the next one is served.
func TestVersionsOfOneHost(t *testing.T) {
	p, failed := newTestPool(t, Options{})
	other, _ := attached(t, 9)
	if _, err := p.choose(t.Context(), other); !errors.Is(err, plugin.ErrIncompatible) {
		t.Errorf("a host of version 9: %v, want ErrIncompatible", err)
	}
	if err := context.Cause(failed); err != nil {
		t.Fatalf("one host has ended all: %v", err)
	}
	right, _ := attached(t, 5)
	if _, err := p.choose(t.Context(), right); err != nil {
		t.Errorf("the next host: %v", err)
	}
}

// TestHostsMistakes has one host come again and again with versions, or a cookie, that the
// executable does not have. No pause of all begins, for which the right host would have to wait.
func TestHostsMistakes(t *testing.T) {
	cases := map[string]func(*plugin.RelayHost){
		"versions": func(h *plugin.RelayHost) { h.Versions = []int{9} },
		"cookie":   func(h *plugin.RelayHost) { h.Cookie.MagicCookieKey = "OTHER_PLUGIN" },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			p, failed := newTestPool(t, Options{})
			if name == "cookie" {
				p.opts.Cookie, p.starter.opts.Cookie, p.cookie = plugin.HandshakeConfig{}, plugin.HandshakeConfig{}, plugin.HandshakeConfig{}
			}
			for range 6 {
				wrong, _ := attached(t, 5)
				spoil(wrong)
				if _, err := p.choose(t.Context(), wrong); err == nil {
					t.Fatal("it is served")
				}
			}
			if left := p.starter.all.left(); left > 0 {
				t.Errorf("no child is started for %v, since %v", left, p.starter.all.last)
			}
			right, _ := attached(t, 5)
			if _, err := p.choose(t.Context(), right); err != nil || context.Cause(failed) != nil {
				t.Errorf("the right host: %v, and of all: %v", err, context.Cause(failed))
			}
		})
	}
}

// TestVersionsOfOptions has the executable asked for a version that it does not have, by whoever
// has started the program: no host can ever be served.
func TestVersionsOfOptions(t *testing.T) {
	p, failed := newTestPool(t, Options{Versions: []int{9}})
	host, _ := attached(t, 9)
	if _, err := p.choose(t.Context(), host); !errors.Is(err, plugin.ErrIncompatible) {
		t.Errorf("version 9: %v, want ErrIncompatible", err)
	}
	if context.Cause(failed) == nil {
		t.Error("it goes on, though it can never serve")
	}
}

// TestHopelessStart has hosts bring the versions. What no other host could mend ends the
// server; a start that may succeed the next time does not.
func TestHopelessStart(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		command  []string
		cookie   plugin.HandshakeConfig
		hopeless bool
	}{
		"no program":     {[]string{text}, testCookie, true},
		"another cookie": {[]string{os.Args[0]}, plugin.HandshakeConfig{MagicCookieKey: "OTHER", MagicCookieValue: "x"}, true},
		"ends at once":   {[]string{"/bin/false"}, testCookie, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, failed := newTestPool(t, Options{})
			p.opts.Command, p.starter.opts.Command, p.opts.Cookie, p.cookie = tc.command, tc.command, tc.cookie, tc.cookie
			host, _ := attached(t, 5)
			host.Cookie = tc.cookie
			if _, err := p.choose(t.Context(), host); err == nil {
				t.Fatal("it has started")
			}
			if err := context.Cause(failed); (err != nil) != tc.hopeless {
				t.Errorf("the server ends: %v", err)
			}
		})
	}
}

// started gives a slot whose child serves.
func started(t *testing.T, p *pool) *slot {
	t.Helper()
	host, end := attached(t, 5)
	defer end() // the child is all hosts'
	if _, err := p.choose(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slots[""]
}

// TestReplacedMeanwhile has a child be replaced that has ended meanwhile, in whose place a host
// has had another one started. One child is left, and none after the end.
func TestReplacedMeanwhile(t *testing.T) {
	p, _ := newTestPool(t, Options{Versions: []int{5}})
	first := started(t, p)
	first.child.Kill()
	second := started(t, p)
	if second == first {
		t.Fatal("the child that has ended is given to a host")
	}
	if !p.replace(first) {
		t.Error("there is a child in its place, and it is told that there is none")
	}
	p.mu.Lock()
	now := p.slots[""]
	p.mu.Unlock()
	if now != second {
		t.Error("the hosts' child was replaced by another one")
	}
	if pids := children(t); !slices.Equal(pids, []string{second.pid}) {
		t.Errorf("the children are %v, want %s", pids, second.pid)
	}
	p.close()
	if pids := children(t); len(pids) > 0 {
		t.Errorf("children are left: %v", pids)
	}
}

// TestReplacedInAnEmptyPlace has a child be replaced that has ended meanwhile, and in whose
// place none could be started: the one that is there takes it.
func TestReplacedInAnEmptyPlace(t *testing.T) {
	p, _ := newTestPool(t, Options{Versions: []int{5}})
	s := started(t, p)
	p.mu.Lock()
	p.forgetLocked(s)
	p.mu.Unlock()
	if !p.replace(s) {
		t.Error("a child was started, and it is told that there is none")
	}
	p.mu.Lock()
	now := p.slots[""]
	p.mu.Unlock()
	if now == nil || now == s {
		t.Error("the place stays empty")
	}
	s.child.Kill()
	p.close()
	if pids := children(t); len(pids) > 0 {
		t.Errorf("children are left: %v", pids)
	}
}

// TestReplacedAtTheEnd has a child be replaced when the pool has been closed.
func TestReplacedAtTheEnd(t *testing.T) {
	p, _ := newTestPool(t, Options{Versions: []int{5}})
	s := started(t, p)
	c, err := p.starter.start(t.Context(), s.child.asked)
	if err != nil {
		t.Fatal(err)
	}
	p.close()
	if p.put(s, c) {
		t.Error("a closed pool has taken a child, which nobody ends")
	}
	c.Kill()
	if pids := children(t); len(pids) > 0 {
		t.Errorf("children are left: %v", pids)
	}
}
