// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"net/netip"
	"testing"
)

// FuzzSteadyCause is a cause that is told twice, with another port of this side.
func FuzzSteadyCause(f *testing.F) {
	f.Add("read tcp ", []byte{10, 0, 0, 7}, "10.0.0.1:7000: connection reset by peer", uint16(41234), uint16(41235))
	f.Add("TLS: read tcp ", []byte("\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"), "[fe80::2]:1: x", uint16(1), uint16(65535))
	f.Fuzz(func(t *testing.T, before string, ip []byte, after string, one, two uint16) {
		addr, ok := netip.AddrFromSlice(ip)
		if !ok {
			return
		}
		first := SteadyCause(before + netip.AddrPortFrom(addr, one).String() + "->" + after)
		second := SteadyCause(before + netip.AddrPortFrom(addr, two).String() + "->" + after)
		if first != second {
			t.Fatalf("%q and %q", first, second)
		}
		if len(first) > len(before)+len(after) {
			t.Fatalf("%q is longer than what is around the socket", first)
		}
	})
}
