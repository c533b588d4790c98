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

// Opener opens the connections of one session, in the host. All methods may be called
// from any goroutine.
type Opener struct {
	client pluginpb.TunnelClient
	ctx    context.Context // of every stream
	cancel context.CancelFunc
	pumps  wait.Group
}

// NewOpener opens its streams on conn. The caller closes both.
func NewOpener(conn grpc.ClientConnInterface) *Opener {
	o := &Opener{client: pluginpb.NewTunnelClient(conn)}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	return o
}

// Open opens a stream for id and waits until the plugin took it: whoever accepts id
// there, or whoever has knocked, if knock is not empty. ctx bounds that wait, not the
// connection, which its caller closes.
func (o *Opener) Open(ctx context.Context, id uint32, knock string) (net.Conn, error) {
	kv := []string{keyID, strconv.FormatUint(uint64(id), 10)}
	if knock != "" {
		kv = append(kv, keyKnock, knock)
	}
	streamCtx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(o.ctx, kv...))
	release := context.AfterFunc(ctx, cancel)
	stream, err := o.client.Open(streamCtx)
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
	cut := time.AfterFunc(linger, cancel)
	cut.Stop()
	conn.onClose = func() { cut.Reset(linger) }
	o.pumps.Go(func() {
		conn.send(stream)
		_ = stream.CloseSend()
	})
	o.pumps.Go(func() {
		defer cancel()
		conn.receive(streamCtx, stream)
	})
	return conn, nil
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
func (o *Opener) Close() {
	o.cancel()
	o.pumps.Wait()
}
