// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-plugin/internal/wait"
)

// Killed is 1 once [CleanupClients] was called: errors of connections are to
// be expected from then on. It is read with sync/atomic.
var Killed uint32 = 0

// managed holds the clients with ClientConfig.Managed.
var managed clientRegistry

type clientRegistry struct {
	mu      sync.Mutex
	clients []killer
}

// killer is a [*Client].
type killer interface{ Kill() }

func (r *clientRegistry) add(c killer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients = append(r.clients, c)
}

func (r *clientRegistry) take() []killer {
	r.mu.Lock()
	defer r.mu.Unlock()
	clients := r.clients
	r.clients = nil
	return clients
}

// CleanupClients kills every managed client and returns when all are gone. A
// host calls it once, before it exits.
func CleanupClients() {
	atomic.StoreUint32(&Killed, 1)
	var all wait.Group
	for _, c := range managed.take() {
		all.Go(c.Kill)
	}
	all.Wait()
}
