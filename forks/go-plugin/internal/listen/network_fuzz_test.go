// SPDX-License-Identifier: MPL-2.0

package listen

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/env"
)

// FuzzNetworkAddrs is PLUGIN_HOST. Whoever wrote an address never opens others.
func FuzzNetworkAddrs(f *testing.F) {
	for _, value := range []string{"true", "0.0.0.0", "::", "[::1]", "127.0.0.1", "localhost.", "no", "10.0.0", "::ffff:0.0.0.0", "fe80::1%eth0", "1.2.3.4:80", " 0 "} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		hosts, err := networkAddrs(value)
		word := strings.ToLower(strings.TrimSpace(value))
		if err != nil {
			if !strings.HasPrefix(err.Error(), env.Host+" is ") {
				t.Fatalf("%q: %v", value, err)
			}
			return
		}
		if addr, err := netip.ParseAddr(word); err == nil {
			if len(hosts) != 1 || hosts[0].WithZone("") != addr.Unmap().WithZone("") {
				t.Fatalf("%q binds %v", value, hosts)
			}
			return
		}
		open := slices.ContainsFunc(hosts, netip.Addr.IsUnspecified)
		if open && (strings.Contains(word, ":") && word != "[::]" || word == "false" || word == "localhost") {
			t.Fatalf("%q opens every address", value)
		}
	})
}
