// SPDX-License-Identifier: MPL-2.0

package dir_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/dir"
	"github.com/reattach/reattach/host/target"
)

func socketIn(t *testing.T, dir, name string) net.Listener {
	t.Helper()
	lis, err := net.Listen("unix", filepath.Join(dir, name))
	must(t, err)
	t.Cleanup(func() { _ = lis.Close() })
	return lis
}

// until waits until a set fits.
func (p *place) until(fits func(*discovery.Set) bool) *discovery.Set {
	p.Helper()
	timeout := time.After(20 * time.Second)
	for {
		if set := p.m.Current(); fits(set) {
			return set
		}
		select {
		case <-p.m.Sets():
		case <-timeout:
			p.Fatalf("not within 20 s; there is %+v", p.m.Current())
		}
	}
}

// TestSockets holds that a directory of sockets offers what serves there, follows
// plugins that come, go and come again, and says what is no socket.
func TestSockets(t *testing.T) {
	p := watch(t, dir.Options{Dir: t.TempDir(), Sockets: true})
	store := socketIn(t, p.dir, "store.sock")
	socketIn(t, p.dir, "plugin123")
	p.write("file.sock", "text", 0o644)
	p.write("greeter.po", "text", 0o755)
	first := p.until(func(set *discovery.Set) bool { return len(set.Endpoints) == 1 && len(set.Problems) == 1 })
	e := first.Endpoints[0]
	want := target.Endpoint{
		ID: "store@unix://" + p.path("store.sock"), Plugin: "store", Placement: target.Network,
		Address: "unix://" + p.path("store.sock"), Fingerprint: e.Fingerprint, Source: "sockets",
	}
	if e != want || e.Fingerprint == "" {
		t.Errorf("offered %+v, want %+v and a fingerprint", e, want)
	}
	if got := first.Problems[0]; got.Plugin != "file" || !strings.Contains(got.Reason, "not a socket") {
		t.Errorf("problem %+v", got)
	}
	must(t, store.Close())
	p.until(func(set *discovery.Set) bool { return len(set.Endpoints) == 0 })
	socketIn(t, p.dir, "store.sock")
	again := p.until(func(set *discovery.Set) bool { return len(set.Endpoints) == 1 })
	if again.Endpoints[0].Fingerprint == e.Fingerprint {
		t.Error("another run of the plugin has the same fingerprint")
	}
}
