// SPDX-License-Identifier: MPL-2.0

package stdio_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// BenchmarkWrite is what a plugin pays for one write of 4 KiB, by the number of
// hosts that read it.
func BenchmarkWrite(b *testing.B) {
	for _, hosts := range []int{0, 1, 50} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			hub := stdio.NewHub(1 << 20)
			hub.Subscribe().Close() // no backlog
			var readers wait.Group
			for range hosts {
				sub := hub.Subscribe()
				readers.Go(func() {
					defer sub.Close()
					for {
						if _, err := sub.Next(context.Background()); err != nil {
							return
						}
					}
				})
			}
			chunk := bytes.Repeat([]byte("x"), 4<<10)
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			for b.Loop() {
				hub.Write(stdio.Stdout, chunk)
			}
			hub.Close()
			readers.Wait()
		})
	}
}

// BenchmarkSettled is what an answer pays that comes after no output.
func BenchmarkSettled(b *testing.B) {
	hub := stdio.NewHub(1 << 20)
	captured, err := stdio.Capture(hub, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	sub := hub.Subscribe()
	for !sub.Settled() {
		runtime.Gosched() // The pumps begin to read.
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = sub.Settled()
	}
	b.StopTimer()
	sub.Close()
	_ = captured.Close(b.Context())
}
