// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// What clients of the API may cost: docs/bounds.md, "The HTTP API".
const (
	maxConnections = 512
	maxRequest     = 1 << 20
	// apiMemory is what basic may occupy under any of these attacks: some 40 MiB of its
	// own, 32 MiB of bodies and 64 MiB of answers, which are held a few times each while
	// they are read and written.
	apiMemory = 400 << 20
)

// bodies are of the size that a call may have at most.
func bodies() map[string]string {
	fill := func(begin, each, end string) string {
		return begin + strings.Repeat(each, (maxRequest-len(begin)-len(end))/len(each)) + end
	}
	return map[string]string{
		"one text":     fill(`["wait `, "x", `"]`),
		"numbers":      fill("[1", ",1", "]"),
		"lists":        fill("[[]", ",[]", "]"),
		"nested lists": fill("", "[", ""),
		"members":      fill(`{"a":1`, `,"a":1`, "}"),
		"escapes":      fill(`["wait `, `\u0001`, `"]`),
	}
}

// TestLargeBodies has as many clients as there can be send the largest bodies at once.
// Half of each is sent first, so that all are there before any is called with.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	for name, body := range bodies() {
		t.Run(name, func(t *testing.T) {
			p := startPlugin(t)
			names := []string{"a", "b", "c", "d", "e", "f", "g", "h"} // each with a share of the calls
			list := "good=" + p.addr
			for _, name := range names {
				list += "," + name + "=" + p.addr
			}
			d := serveHost(t, "NETWORK_PLUGIN="+list)
			d.awaitReady(append(names, "good")...)
			f := measure(t, "%d bodies of 1 MiB at once, %s", maxConnections, name)
			d.beside(f, "good", func() {
				var all sync.WaitGroup
				half := make(chan struct{})
				var sent sync.WaitGroup
				for i := range maxConnections {
					conn := d.post(names[i%len(names)], len(body))
					sent.Add(1)
					all.Go(func() {
						defer conn.Close()
						_, err := io.WriteString(conn, body[:len(body)-1])
						sent.Done()
						<-half
						if err == nil {
							_, _ = io.WriteString(conn, body[len(body)-1:])
							_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second)) // a method may be at work
							if status := answer(conn); status == http.StatusOK {
								t.Error("it was answered with a greeting")
							}
						}
					})
				}
				sent.Wait()
				close(half)
				all.Wait()
			})
			f.bytes("memory", d.peakMemory(), apiMemory)
		})
	}
}
