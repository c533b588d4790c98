// SPDX-License-Identifier: MPL-2.0

package grpcserve_test

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcserve"
)

// A plugin may panic each time that a host attaches. It is logged as often as that host
// may make this process log, and says which host it was.
func TestPanicIsLoggedOfItsHost(t *testing.T) {
	var ofHost, ofAll bytes.Buffer
	cfg := config(grpcserve.Plugin{Name: "kind", Register: func(*broker.Broker, *grpc.Server) error { panic("no") }})
	cfg.Logger = hclog.New(&hclog.LoggerOptions{Output: &ofAll})
	h := host()
	h.Logger = hclog.New(&hclog.LoggerOptions{Output: &ofHost})
	factory := grpcserve.NewFactory(cfg, 1, time.Minute, false)
	defer factory.Close()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	if _, err := factory.Join(h, here); err == nil {
		t.Error("the plugin is served")
	}
	if log := ofHost.String(); !strings.Contains(log, "plugin panics before it serves") || !strings.Contains(log, "in=GRPCServer") {
		t.Errorf("the log of the host: %q", log)
	}
	if ofAll.Len() > 0 {
		t.Errorf("the log of the plugin: %q", &ofAll)
	}
}
