// SPDX-License-Identifier: MPL-2.0

//go:build cgo && (linux || darwin || freebsd)

package so

import (
	"testing"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/dialertest"
	"github.com/reattach/reattach/host/conn"
)

func BenchmarkInProcess(b *testing.B) {
	path := servedObject(b)
	dialertest.Benchmark(b, objectAt(path), func(c attach.Contract) conn.Dialer { return dialerFor(b, c) })
}
