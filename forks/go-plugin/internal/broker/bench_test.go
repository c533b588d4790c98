// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"io"
	"testing"
	"time"
)

// BenchmarkConnection moves bytes through one brokered connection.
func BenchmarkConnection(b *testing.B) {
	host, plugin := streamPair(b, time.Minute)
	lis, err := plugin.Accept(1)
	if err != nil {
		b.Fatal(err)
	}
	defer lis.Close()
	from, err := connection(b.Context(), host, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer from.Close()
	to, err := lis.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer to.Close()
	const size = 64 << 10
	b.SetBytes(size)
	go func() {
		p := make([]byte, size)
		for range b.N {
			if _, err := from.Write(p); err != nil {
				b.Error(err)
			}
		}
	}()
	p := make([]byte, size)
	for range b.N {
		if _, err := io.ReadFull(to, p); err != nil {
			b.Fatal(err)
		}
	}
}
