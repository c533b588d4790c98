// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"maps"
	"os"
)

// maxBrokeredSockets bounds how many sockets of one child are remembered.
const maxBrokeredSockets = 1024

// brokeredSockets are where a child has said that it accepts brokered connections.
type brokeredSockets map[string]struct{}

// add remembers a socket. What the child has removed by now is forgotten when there
// are many.
func (b brokeredSockets) add(path string) {
	if len(b) >= maxBrokeredSockets {
		maps.DeleteFunc(b, func(path string, _ struct{}) bool {
			_, err := os.Lstat(path)
			return err != nil
		})
	}
	if len(b) < maxBrokeredSockets {
		b[path] = struct{}{}
	}
}

// noteBrokered remembers a socket of a child, to remove it behind one that was killed.
// A Runner's plugin may see other paths, and its directory is removed as a whole.
func (p *localPlugin) noteBrokered(network, path string) {
	if network != "unix" || p.config.Cmd == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	if p.brokered == nil {
		p.brokered = make(brokeredSockets)
	}
	p.brokered.add(path)
}
