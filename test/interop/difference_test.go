// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"strings"
	"sync"
)

// difference is something that the fork does otherwise than upstream on purpose.
type difference struct {
	check string // the name of the check
	why   string

	// Where upstream's host or plugin says the one, the fork's says the other.
	upstream, fork string
}

// differences are all that the comparison lets pass.
func differences() []difference {
	return []difference{
		{
			check:    "state",
			why:      "a host that reattaches knows which version it configured",
			upstream: "version=0", fork: "version=1",
		},
		{
			check:    "dispense of grpconly",
			why:      "the refusal names what the plugin does speak",
			upstream: "net/rpc plugin protocol not supported",
			fork:     "this plugin speaks gRPC only, it cannot be used over net/rpc",
		},
		{
			check:    "start",
			why:      "the refusal to multiplex on reattach gives the reason",
			upstream: "with Reattach config",
			fork:     "with Reattach config of a local process: it serves the connection of the host that started it",
		},
	}
}

// tolerated counts how often each difference was seen.
type tolerated struct {
	mu   sync.Mutex
	seen map[string]int
}

// settle returns what a pair saw, with upstream's word where the difference is
// on purpose.
func (c *tolerated) settle(truth, seen []check) []check {
	settled := append([]check(nil), seen...)
	for i := range min(len(truth), len(seen)) {
		if seen[i].Name != truth[i].Name || seen[i].Got == truth[i].Got {
			continue
		}
		for _, d := range differences() {
			if d.check == seen[i].Name && strings.Contains(truth[i].Got, d.upstream) && strings.Replace(truth[i].Got, d.upstream, d.fork, 1) == seen[i].Got {
				settled[i].Got = truth[i].Got
				c.count(d.why)
			}
		}
	}
	return settled
}

func (c *tolerated) count(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]int{}
	}
	c.seen[why]++
}

// String lists the differences that were seen.
func (c *tolerated) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var text strings.Builder
	for _, d := range differences() {
		if n := c.seen[d.why]; n > 0 {
			fmt.Fprintf(&text, "on purpose, %d times: %s\n  upstream: ...%s\n  fork:     ...%s\n", n, d.why, d.upstream, d.fork)
		}
	}
	return text.String()
}
