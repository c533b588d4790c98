// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

// describedPlugin registers whatever it is made of.
type describedPlugin struct {
	relay
	register func(*GRPCBroker, *grpc.Server) error
}

func (p *describedPlugin) GRPCServer(b *GRPCBroker, s *grpc.Server) error { return p.register(b, s) }

func TestDescribeGRPC(t *testing.T) {
	got := describeGRPC(PluginSet{
		"netrpc": &echoPlugin{},
		"panics": &describedPlugin{register: func(*GRPCBroker, *grpc.Server) error { panic("no") }},
		"fails":  &describedPlugin{register: func(*GRPCBroker, *grpc.Server) error { return errEcho }},
		"known": &describedPlugin{register: func(b *GRPCBroker, s *grpc.Server) error {
			pluginpb.RegisterTunnelServer(s, pluginpb.UnimplementedTunnelServer{})
			pluginpb.RegisterGRPCControllerServer(s, pluginpb.UnimplementedGRPCControllerServer{})
			if _, err := b.Accept(b.NextId()); err == nil {
				t.Error("the broker of a description accepts")
			}
			if _, err := b.Dial(1); err == nil {
				t.Error("the broker of a description dials")
			}
			b.AcceptAndServe(2, DefaultGRPCServer)
			return nil
		}},
		"unknown": newRelay("no descriptor is linked"),
	})
	want := []hello.Kind{
		{Name: "fails"},
		{Name: "known", Methods: []hello.Method{
			{Name: "Shutdown", Args: "plugin.Empty", Reply: "plugin.Empty"},
			{Name: "Open", Args: "stream reattach.v1.Chunk", Reply: "stream reattach.v1.Chunk"},
		}},
		{Name: "netrpc"},
		{Name: "panics"},
		{Name: "unknown", Methods: []hello.Method{
			{Name: "Busy"}, {Name: "Count"}, {Name: "Hold"}, {Name: "Late"}, {Name: "Lend"}, {Name: "Name"}, {Name: "Open"}, {Name: "Via"},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}
