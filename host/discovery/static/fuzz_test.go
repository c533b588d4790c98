// SPDX-License-Identifier: MPL-2.0

package static

import (
	"context"
	"net/netip"
	"testing"
)

// answers is a resolver that gives what it was made with.
type answers []netip.Addr

func (a answers) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return a, nil }

// FuzzRecords is what a name server says. Each address is one endpoint, in an order
// that does not depend on that of the answer, and the manager takes all of them.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{10, 0, 0, 1, 10, 0, 0, 2, 10, 0, 0, 1}, []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x01"))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, four, six []byte) {
		var said answers
		want := make(map[netip.Addr]bool)
		for ; len(four) >= 4; four = four[4:] {
			said = append(said, netip.AddrFrom4([4]byte(four)))
		}
		for ; len(six) >= 16; six = six[16:] {
			said = append(said, netip.AddrFrom16([16]byte(six)))
		}
		for _, ip := range said {
			want[ip.Unmap()] = true
		}
		n := &name{entry: Entry{Plugin: "zh", Host: "zh", Port: "7000", Resolve: true}, resolver: said}
		ips, err := n.lookup(t.Context())
		if (err != nil) != (len(said) == 0) || len(ips) != len(want) {
			t.Fatalf("%d addresses of %d, %v", len(ips), len(want), err)
		}
		group, _ := n.take(ips, err)
		if err := group.Validate(); err != nil {
			t.Fatal(err)
		}
		reversed := make(answers, 0, len(said))
		for i := range said {
			reversed = append(reversed, said[len(said)-1-i])
		}
		n.resolver = reversed
		again, err := n.lookup(t.Context())
		if _, changed := n.take(again, err); changed {
			t.Fatal("the order of the records matters")
		}
	})
}
