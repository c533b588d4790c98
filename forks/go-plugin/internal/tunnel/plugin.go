// SPDX-License-Identifier: MPL-2.0

package tunnel

import (
	"context"
	"net"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

// Serve serves one stream from the host, in the plugin, until both its ends have closed.
// take gives the connection to its owner, or says why there is none, which the host is
// told. ctx is the stream's.
func Serve(stream pluginpb.Tunnel_OpenServer, take func(ctx context.Context, id uint32, knock string, conn net.Conn) error) error {
	ctx := stream.Context()
	id, knock, err := requested(ctx)
	if err != nil {
		return err
	}
	conn := newConn(id)
	if err := take(ctx, id, knock, conn); err != nil {
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
