// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"context"
	"io"
	"net"

	"google.golang.org/grpc/peer"

	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// OverMux makes cfg that of a session with the feature mux, on a connection past its
// handshake.
func OverMux(cfg *Config, host *mux.Host, conn net.Conn) {
	_, info, _ := EstablishedTLS{Conn: conn}.ClientHandshake(context.Background(), "", conn) // never fails
	cfg.Mux = grpcmux.NewClient(host, peer.Peer{Addr: conn.RemoteAddr(), LocalAddr: conn.LocalAddr(), AuthInfo: info})
	cfg.Dial = func(ctx context.Context) (net.Conn, error) { return host.OpenStream(ctx, mux.HTTP2, nil) }
}

// ReceiveOutput passes on what the plugin of a session with the feature mux writes, until
// the session ends. It returns nil if nobody wants that of a remote plugin: a child would wait.
func ReceiveOutput(host *mux.Host, remote bool, stdout, stderr io.Writer) Output {
	out, err := stdio.NewSink(stdout, nil), stdio.NewSink(stderr, nil)
	if remote && out.Drops() && err.Drops() {
		return nil
	}
	return &muxOutput{stdio.StartPump(host.ReceiveOutput(func(chunk stdio.Chunk) {
		to := out
		if chunk.Channel == stdio.Stderr {
			to = err
		}
		_, _ = to.Write(chunk.Data)
	}))}
}

// muxOutput is output that was asked for before anything else.
type muxOutput struct{ pump *stdio.Pump }

// Opened implements Output.
func (*muxOutput) Opened() <-chan struct{} { return opened }

var opened = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Finish implements Output.
func (o *muxOutput) Finish(ctx context.Context) { _ = o.pump.Wait(ctx) }

// Close implements Output. The output ends with the session.
func (*muxOutput) Close() {}
