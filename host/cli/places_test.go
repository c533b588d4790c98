// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reattach/reattach/host/visit"
)

func TestNetworkPlace(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     string
		want   visit.Place
	}{
		"an address": {"it is its own name", "zh:7000", visit.NetworkAt("zh:7000")},
		"a name":     {"reports and certificates have it", "zh = 10.0.0.1:7000", visit.NamedNetworkAt("zh", "10.0.0.1:7000")},
		"dns":        {"one visit goes to one of the addresses", "dns:///zh:7000", visit.NetworkAt("zh:7000")},
		"named dns":  {"both at once", "zh=dns:///zh.plugins:7000", visit.NamedNetworkAt("zh", "zh.plugins:7000")},
		"nonsense":   {"the dialer says what is wrong", "7000", visit.NetworkAt("7000")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, networkPlace(tc.in)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}
