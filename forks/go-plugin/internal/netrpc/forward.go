// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"io"
	"net"

	"github.com/hashicorp/go-plugin/internal/wait"
)

// ownIDs is the first id that a side takes for itself which forwards all others. Whoever
// counts from one does not come there.
const ownIDs = 1 << 31

// Forward hands the streams that the other side dials on to what dial connects to, which
// may block until that accepts the id. Ids that this side has taken since are its own.
func (a *Arrivals) Forward(dial func(id uint32) (net.Conn, error)) {
	a.lastID.CompareAndSwap(0, ownIDs)
	a.forward.Store(&dial)
}

// put takes in a stream. It reports false if another one waits at the id.
func (a *Arrivals) put(id uint32, came arrival) bool {
	dial := a.forward.Load()
	if dial == nil || id >= ownIDs {
		return a.byID.Put(id, came)
	}
	go func() {
		to, err := (*dial)(id)
		if err != nil {
			came.drop()
			return
		}
		from, err := came.accept()
		if err != nil {
			_ = to.Close()
			return
		}
		Splice(from, to)
	}()
	return true
}

// Splice copies in both directions until both have ended, and closes both.
func Splice(a, b net.Conn) {
	var both wait.Group
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].Close()
		})
	}
	both.Wait()
}

// Raw serves a kind without reading what is called: it is given the connection of each
// dispense, and owns it.
type Raw struct{ Serve func(net.Conn) }

// DialKind asks the plugin to serve a kind and returns the connection on which it does,
// for net/rpc with gob. It needs a session over yamux. The caller closes it.
func (h *Host) DialKind(kind string) (net.Conn, error) {
	id, err := h.dispense(kind)
	if err != nil {
		return nil, err
	}
	return h.broker.Dial(id)
}
