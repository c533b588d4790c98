// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

// elsewhere is a listener whose peers are on another machine, as far as their addresses say.
type elsewhere struct{ net.Listener }

func (l elsewhere) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return elsewhereConn{conn}, nil
}

type elsewhereConn struct{ net.Conn }

func (elsewhereConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 8), Port: 4711}
}

// TestCallbackElsewhere has a host of another machine announce a unix socket of this one for a
// callback: the plugin's method is told why it cannot dial, and nobody comes to the socket.
func TestCallbackElsewhere(t *testing.T) {
	socket, err := net.Listen("unix", filepath.Join(t.TempDir(), "x.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- plugin.ServeListener(ctx, elsewhere{lis}, &plugin.ServeConfig{
			Plugins: plugin.PluginSet{"relay": newRelay("plugin")}, GRPCServer: plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
		})
	}()
	conn := dialPlain(t, lis.Addr().String())
	host, err := grpcBrokerOf(t, conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := host.stream.Send(&pluginpb.ConnInfo{ServiceId: 7, Network: "unix", Address: socket.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	called, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if reply, err := (&relay{conn: conn}).call(called, "Via", "7"); err == nil || !strings.Contains(err.Error(), "on another machine") {
		t.Errorf("the callback gives %q, %v", reply, err)
	}
	_ = socket.(*net.UnixListener).SetDeadline(time.Now())
	if _, err := socket.Accept(); err == nil {
		t.Error("somebody has come to the socket")
	}
	_ = conn.Close()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
