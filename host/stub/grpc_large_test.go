// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"fmt"
	"strings"
	"testing"
)

// Messages of every size arrive in both directions, also those that do not fit into what
// may be sent unasked.
func TestGRPCLargeMessages(t *testing.T) {
	_, c := grpcPods(t, newLedger())
	shop := grpcShop(t, c, nil)
	for _, n := range []int{1, 5 << 10, 64 << 10, 200 << 10, 1 << 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			sent := strings.Repeat("x", n)
			if got, err := shop.call("Add", sent); err != nil || got != sent {
				t.Errorf("of a call, %d bytes came of %d, %v", len(got), n, err)
			}
			s, err := shop.chat(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := say(s, sent); err != nil || got != sent {
				t.Errorf("of a stream, %d bytes came of %d, %v", len(got), n, err)
			}
			if err := s.CloseSend(); err != nil {
				t.Error(err)
			}
		})
	}
}
