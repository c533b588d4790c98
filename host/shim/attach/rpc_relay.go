// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/stub"
)

// rpcRelay serves a host over net/rpc. The arguments of a call cannot be told apart
// without their types, so that the bytes of each kind's connection pass as they are, to
// one endpoint. All kinds keep to the endpoint of the first: what one of them answers may
// be the id of a stream that another one is to dial. When that endpoint is lost, so is
// the plugin for its host.
type rpcRelay struct {
	remote *remote
	router balancer.Router // keeps to one endpoint
	host   atomic.Pointer[plugin.MuxBroker]
	latest atomic.Pointer[rpcSession]
}

// rpcSession is what a session over net/rpc can do that dialers make with RawRPC.
type rpcSession interface {
	stub.MuxBrokerSession
	DialRPC(kind string) (net.Conn, error)
}

// Dispense implements plugin.RPCRelay.
func (r *rpcRelay) Dispense(kind string, broker *plugin.MuxBroker) (serve func(net.Conn), err error) {
	broker.Forward(r.dialPlugin)
	r.host.Store(broker)
	lease, conn, err := r.dialKind(kind)
	if err != nil {
		return nil, err
	}
	return func(host net.Conn) {
		splice(host, conn)
		lease.Done(balancer.Answered)
	}, nil
}

// dialKind has an endpoint serve a kind.
func (r *rpcRelay) dialKind(kind string) (balancer.Lease, net.Conn, error) {
	var tried []string
	for {
		lease, session, err := r.pick(tried)
		if err != nil {
			return nil, nil, fmt.Errorf("dispense %s: %w", kind, err)
		}
		conn, err := session.DialRPC(kind)
		switch {
		case err == nil:
			r.latest.Store(&session)
			return lease, conn, nil
		case !errors.Is(err, plugin.ErrConnectionLost):
			lease.Done(balancer.Answered)
			return nil, nil, err // it is the plugin's own, as the host expects it
		}
		// A plugin that was lost before it served the kind was told nothing: another will do.
		lease.Done(balancer.NotSent)
		if slices.Contains(tried, lease.Endpoint()) {
			return nil, nil, err
		}
		tried = append(tried, lease.Endpoint())
	}
}

// pick gives the session of the endpoint to which all kinds keep, if possible none of tried.
func (r *rpcRelay) pick(tried []string) (balancer.Lease, rpcSession, error) {
	for {
		lease, err := r.router.Pick(context.Background(), "", tried)
		if err != nil {
			return nil, nil, err
		}
		session, ok := lease.Session().(rpcSession)
		if ok && stub.Hand(lease) {
			return lease, session, nil
		}
		lease.Done(balancer.NotSent)
		if !ok {
			return nil, nil, fmt.Errorf("session of %s (%T) does not speak net/rpc", lease.Endpoint(), lease.Session())
		}
	}
}

// dialPlugin connects to what the plugin accepts.
func (r *rpcRelay) dialPlugin(id uint32) (net.Conn, error) {
	session := r.latest.Load()
	if session == nil {
		return nil, errNoKind
	}
	return (*session).MuxBroker().Dial(id)
}

// dialHost connects to what the host accepts.
func (r *rpcRelay) dialHost(id uint32) (net.Conn, error) {
	host := r.host.Load()
	if host == nil {
		return nil, errNoKind
	}
	return host.Dial(id)
}

var errNoKind = errors.New("the host has dispensed nothing")

// Server implements plugin.Plugin. It is not used: Dispense is.
func (*rpcRelay) Server(*plugin.MuxBroker) (any, error) { return nil, errors.ErrUnsupported }

// Client implements plugin.Plugin. It is not used: this is no host.
func (*rpcRelay) Client(*plugin.MuxBroker, *rpc.Client) (any, error) {
	return nil, errors.ErrUnsupported
}

// splice copies in both directions until both have ended, and closes both.
func splice(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].Close()
		})
	}
	both.Wait()
}
