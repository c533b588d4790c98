// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"net"
	"net/rpc"
	"sync"

	"github.com/hashicorp/go-plugin/internal/netrpc"
)

// MuxBroker opens further streams beside the calls of a net/rpc session. One
// side takes an id from NextId, accepts on it and tells the id to the other
// side, for example as an argument; the other side dials it. Ids belong to one
// session: in network mode every host has a broker of its own.
type MuxBroker struct {
	// Mutex is part of the type's published shape. The broker does not use it.
	sync.Mutex

	broker *netrpc.Broker
}

// NextId returns an id that this side has not used before in this session (it
// wraps after 2^32).
func (m *MuxBroker) NextId() uint32 { return m.broker.NextID() }

// Accept waits up to 5 s for the stream that the other side dials under id.
// The caller closes it. One id is accepted once at a time.
func (m *MuxBroker) Accept(id uint32) (net.Conn, error) { return m.broker.Accept(id) }

// AcceptAndServe accepts id and serves v under the net/rpc name "Plugin" until
// the stream ends. It returns without serving if the other side does not dial.
func (m *MuxBroker) AcceptAndServe(id uint32, v interface{}) { m.broker.AcceptAndServe(id, v) }

// Dial opens the stream that the other side accepts under id, and waits up to
// 5 s for it to do so. The caller closes it.
func (m *MuxBroker) Dial(id uint32) (net.Conn, error) { return m.broker.Dial(id) }

// DialClient dials id as Dial does, and returns a client of what the other side serves
// there. [CallContext] through it carries the deadline, the end and the outgoing metadata of
// its context, to a method that takes a context: see [ContextReceiver]. Metadata of more than 64
// pairs or 16 KiB, or with what gRPC could not carry, are left out. A peer of another library,
// or without such a method, is called as ever. The caller closes the client.
func (m *MuxBroker) DialClient(id uint32) (*rpc.Client, error) { return m.broker.DialClient(id) }

// Close ends the whole session, and with it every stream.
func (m *MuxBroker) Close() error {
	if m.broker == nil {
		return nil
	}
	return m.broker.Close()
}

// Run takes in the streams that the other side opens, until the session ends.
// The library calls it; a user of the broker never does.
func (m *MuxBroker) Run() { m.broker.Run() }
