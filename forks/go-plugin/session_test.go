// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// The protocol client of a remote session is closed by this side, whatever its
// protocol: nothing was lost.
func TestClosedProtocolClientIsDetached(t *testing.T) {
	for _, protocol := range []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC} {
		t.Run(string(protocol), func(t *testing.T) {
			p := serveEcho(t, func(o *plugin.ServeConfig) {
				if protocol == plugin.ProtocolGRPC {
					o.Plugins, o.GRPCServer = plugin.PluginSet{"relay": newRelay("")}, plugin.DefaultGRPCServer
				}
			})
			cfg := p.clientConfig()
			cfg.AllowedProtocols = []plugin.Protocol{protocol}
			client := plugin.NewClient(cfg)
			defer client.Kill()
			speaks, err := client.Client()
			if err != nil {
				t.Fatal(err)
			}
			session, err := client.Session()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(speaks.Close(), speaks.Close()); err != nil {
				t.Errorf("Close twice = %v", err)
			}
			<-session.Done()
			if err := session.Err(); !errors.Is(err, plugin.ErrDetached) || errors.Is(err, plugin.ErrConnectionLost) {
				t.Errorf("session ended with %v, want ErrDetached", err)
			}
		})
	}
}

// A caller that reads until io.EOF must not take a lost connection for the end.
func TestLossIsNoEndOfFile(t *testing.T) {
	here, there := net.Pipe()
	client := plugin.NewChannelClient(plugin.NewRPCChannel(here))
	defer client.Close()
	go func() {
		_, _ = there.Read(make([]byte, 1))
		_ = there.Close()
	}()
	err := client.Call("Plugin.Any", struct{}{}, &struct{}{})
	if errors.Is(err, io.EOF) || !errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("call cut off ended with %v, want ErrConnectionLost and no io.EOF", err)
	}
	if err := peererr.Lost(io.EOF); !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		t.Errorf("peererr.Lost(io.EOF) = %v, want an unexpected end", err)
	}
}
