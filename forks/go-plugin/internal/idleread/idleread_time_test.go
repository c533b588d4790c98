// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package idleread_test

import (
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-plugin/internal/idleread"
)

// TestStepwiseWaitsWithoutABuffer knows from synctest that the reader waits.
func TestStepwiseWaitsWithoutABuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		var pool countingPool
		done := make(chan error)
		go func() {
			_, err := readAll(idleread.NewReader(server), &pool, size)
			done <- err
		}()
		for _, message := range []string{"", "short", string(make([]byte, 600))} {
			_, _ = client.Write([]byte(message))
			synctest.Wait()
			if out := pool.out.Load(); out != 0 {
				t.Errorf("%d buffers are held after %d bytes", out, len(message))
			}
		}
		_ = client.Close()
		if err := <-done; err != io.EOF {
			t.Error(err)
		}
	})
}
