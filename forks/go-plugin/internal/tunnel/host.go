// SPDX-License-Identifier: MPL-2.0

// Package tunnel carries brokered connections inside a session's own HTTP/2
// connection, as streams of the method reattach.v1.Tunnel/Open. Only a host can
// open a stream; a plugin that dials knocks, and the host opens the stream then.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// The request metadata of Tunnel/Open.
const (
	keyID    = "reattach-broker-id"    // decimal
	keyKnock = "reattach-broker-knock" // which knock this stream answers; absent: none
)

// linger is how long a closed connection waits for the plugin to close its end
// before the stream is cut off.
const linger = 5 * time.Second

// Host is the host's side of one session. All methods may be called from any
// goroutine.
type Host struct {
	client pluginpb.TunnelClient
	lobby  *rendezvous.Listeners
	ctx    context.Context // of every stream
	cancel context.CancelFunc
	pumps  wait.Group
}

// NewHost opens its streams on conn, and hands them over in lobby, which
// several sessions may share. The caller closes all three.
func NewHost(conn grpc.ClientConnInterface, lobby *rendezvous.Listeners) *Host {
	h := &Host{client: pluginpb.NewTunnelClient(conn), lobby: lobby}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// Dial connects to whoever accepts id in the plugin. ctx bounds the dial, not
// the connection.
func (h *Host) Dial(ctx context.Context, id uint32) (net.Conn, error) {
	return h.open(ctx, id)
}

// Listen accepts id from the plugin until the listener is closed.
func (h *Host) Listen(id uint32) net.Listener { return h.lobby.Listen(id, Addr{id}) }

// Answer opens the stream that the plugin knocked for, once somebody accepts
// id. It gives up when ctx ends.
func (h *Host) Answer(ctx context.Context, id uint32, knock string) error {
	lis, err := h.lobby.Find(ctx, id)
	if err != nil {
		return err
	}
	conn, err := h.open(ctx, id, keyKnock, knock)
	if err != nil {
		return err
	}
	lis.Deliver(conn)
	return nil
}

// open opens a stream and waits until the plugin took it.
func (h *Host) open(ctx context.Context, id uint32, kv ...string) (net.Conn, error) {
	kv = append(kv, keyID, strconv.FormatUint(uint64(id), 10))
	streamCtx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(h.ctx, kv...))
	release := context.AfterFunc(ctx, cancel)
	stream, err := h.client.Open(streamCtx)
	if err == nil {
		err = accepted(stream)
	}
	if !release() && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open tunnel for broker id %d: %w", id, err)
	}
	conn := newConn(id)
	h.carry(streamCtx, conn, stream, cancel)
	return conn, nil
}

// carry moves data between conn and the stream until both ends have closed.
func (h *Host) carry(ctx context.Context, conn *Conn, stream pluginpb.Tunnel_OpenClient, cancel context.CancelFunc) {
	cut := time.AfterFunc(linger, cancel)
	cut.Stop()
	conn.onClose = func() { cut.Reset(linger) }
	h.pumps.Go(func() {
		conn.send(stream)
		_ = stream.CloseSend()
	})
	h.pumps.Go(func() {
		defer cancel()
		conn.receive(ctx, stream)
	})
}

// accepted waits for the plugin's header, which says that the connection was
// taken. Without one the stream's status says why not.
func accepted(stream pluginpb.Tunnel_OpenClient) error {
	header, err := stream.Header()
	if err != nil || header != nil {
		return err
	}
	if _, err = stream.Recv(); err == nil {
		err = errors.New("plugin sent data without a header")
	}
	return err
}

// Close ends every connection.
func (h *Host) Close() {
	h.cancel()
	h.pumps.Wait()
}
