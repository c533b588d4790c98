// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"cmp"
	"net"
	"net/rpc"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// overMux is the transport of the feature mux, by which two peers of this library
// put their calls on the connection themselves. PROTOCOL.md.
type overMux struct {
	host   *Host
	mux    *mux.Host
	listed func(kind string) bool
}

// NewMuxHost starts a session with the feature mux. It owns conn. listed reports
// whether the plugin has said that it serves a kind, so that a channel need not wait
// for it. draining is called when the plugin says that it is about to leave, and ended
// with the reason when the session can be used no more.
func NewMuxHost(conn net.Conn, config HostConfig, listed func(kind string) bool, draining func(), ended func(error)) *Host {
	streams := &muxStreams{arrivals: cmp.Or(config.Arrivals, NewArrivals())}
	session := mux.NewHost(conn, mux.HostConfig{
		Draining: draining, Accept: mux.Acceptors{mux.Brokered: streams.admit},
		MaxSend: config.MaxSend, MaxReceive: config.MaxMessage,
		Ended: func(err error) error {
			ended(err)
			return lost(config.Cause, err)
		},
	})
	streams.session = session
	h := &Host{config: config, broker: config.newBroker(streams, streams.arrivals)}
	h.transport = &overMux{h, session, listed}
	h.control = sync.OnceValue(func() *rpc.Client { return NewClient(session.Channel(0)) })
	// It reads where nobody else does. A kind that is called at once reads its answers by
	// itself, and need not be handed the first.
	time.AfterFunc(controlDelay, func() { h.control() })
	return h
}

// controlDelay is after how long a session is read of which no call was made.
const controlDelay = 2 * time.Millisecond

func (m *overMux) open(kind string, _ bool) (Channel, error) {
	if err := m.mux.Err(); err != nil {
		return nil, err
	}
	if m.listed(kind) {
		return m.mux.Open(kind)
	}
	id, err := m.host.dispense(kind)
	if err != nil {
		return nil, err
	}
	return m.mux.Channel(uint64(id)), nil
}

func (m *overMux) receive(stdout, stderr *stdio.Sink) []*stdio.Pump {
	if m.host.config.Remote && stdout.Drops() && stderr.Drops() {
		return nil
	}
	return []*stdio.Pump{stdio.StartPump(m.mux.ReceiveOutput(func(chunk stdio.Chunk) {
		to := stdout
		if chunk.Channel == stdio.Stderr {
			to = stderr
		}
		_, _ = to.Write(chunk.Data)
	}))}
}

func (*overMux) endsOutput() bool { return false }

func (m *overMux) moved() uint64 {
	if m.mux.Err() != nil {
		return 0
	}
	return m.mux.Moved()
}
