// SPDX-License-Identifier: MPL-2.0

package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// Plugin is the plugin's side of one session, to be registered as its
// reattach.v1.Tunnel service. All methods may be called from any goroutine.
type Plugin struct {
	pluginpb.UnimplementedTunnelServer

	wait  time.Duration
	lobby *rendezvous.Listeners

	knocks atomic.Uint64                     // so far
	dials  *rendezvous.Table[string, answer] // by knock
}

// answer is what a knock came to.
type answer struct {
	conn net.Conn
	err  error
}

// close ends what nobody has waited for.
func (a answer) close() {
	if a.conn != nil {
		_ = a.conn.Close()
	}
}

// NewPlugin returns the plugin's side. What it accepts arrives in lobby, which
// several sessions may share, and which the caller closes. A host's stream for an id
// that nobody accepts is refused after wait.
func NewPlugin(wait time.Duration, lobby *rendezvous.Listeners) *Plugin {
	return &Plugin{wait: wait, lobby: lobby, dials: rendezvous.New[string](rendezvous.Options[answer]{Dropped: answer.close})}
}

// Listen accepts id from the host until the listener is closed.
func (p *Plugin) Listen(id uint32) net.Listener { return p.lobby.Listen(id, Addr{id}) }

// Dial connects to whoever accepts id in the host. knock brings its argument to
// the host's Answer; what the host says against it goes to Refuse. ctx bounds
// the dial, not the connection.
func (p *Plugin) Dial(ctx context.Context, id uint32, knock func(name string) error) (net.Conn, error) {
	name := strconv.FormatUint(p.knocks.Add(1), 10)
	dial := p.dials.Expect(name)
	defer dial.Cancel()
	if err := knock(name); err != nil {
		return nil, fmt.Errorf("knock for broker id %d: %w", id, err)
	}
	a, err := dial.Take(ctx)
	if err != nil {
		return nil, fmt.Errorf("dial broker id %d: no answer from the host: %w", id, err)
	}
	if a.err != nil {
		return nil, fmt.Errorf("dial broker id %d: %w", id, a.err)
	}
	return a.conn, nil
}

// Refuse ends the dial of a knock that the host does not answer with a stream.
func (p *Plugin) Refuse(knock, reason string) {
	p.dials.Deliver(knock, answer{err: errors.New(reason)})
}

// Open serves one stream from the host until both its ends have closed.
func (p *Plugin) Open(stream pluginpb.Tunnel_OpenServer) error {
	ctx := stream.Context()
	id, knock, err := requested(ctx)
	if err != nil {
		return err
	}
	conn := newConn(id)
	if err := p.handOver(ctx, id, knock, conn); err != nil {
		return status.Error(codes.NotFound, err.Error())
	}
	// Tells the host that the connection was taken.
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		conn.fail(err)
		return err
	}
	go conn.receive(ctx, stream)
	conn.send(stream)
	return nil
}

// requested reads the stream's metadata.
func requested(ctx context.Context) (id uint32, knock string, err error) {
	md, _ := metadata.FromIncomingContext(ctx)
	text := first(md.Get(keyID))
	parsed, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, "", status.Errorf(codes.InvalidArgument, "metadata %s is %q, want a broker id", keyID, text)
	}
	return uint32(parsed), first(md.Get(keyKnock)), nil
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// handOver gives conn to the dial that knocked for it, or to who accepts id.
func (p *Plugin) handOver(ctx context.Context, id uint32, knock string, conn net.Conn) error {
	if knock != "" {
		if !p.dials.Deliver(knock, answer{conn: conn}) {
			return fmt.Errorf("nobody waits for an answer to knock %s for broker id %d any more", knock, id)
		}
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.wait, fmt.Errorf("waited %v", p.wait))
	defer cancel()
	lis, err := p.lobby.Find(ctx, id)
	if err != nil {
		return err
	}
	if !lis.Deliver(conn) {
		return fmt.Errorf("broker id %d is not accepted any more", id)
	}
	return nil
}
