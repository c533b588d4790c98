// SPDX-License-Identifier: MPL-2.0

package attach_test

import (
	"testing"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/dialertest"
	"github.com/reattach/reattach/host/conn"
)

func BenchmarkChild(b *testing.B) {
	dialertest.Benchmark(b, self(b), func(c attach.Contract) conn.Dialer {
		return childDialer(b, "served", func(o *attach.ChildOptions) { o.Contract = c })
	})
}

func BenchmarkNetwork(b *testing.B) {
	dialertest.Benchmark(b, startPlugin(b), func(c attach.Contract) conn.Dialer {
		return networkDialer(b, func(o *attach.NetworkOptions) { o.Contract = c })
	})
}
