// SPDX-License-Identifier: MPL-2.0

package attach_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/commons/commonspb"
	"github.com/reattach/reattach/host/attach/dialertest/served"
	"github.com/reattach/reattach/host/conn"
)

// patience bounds every wait.
const patience = 10 * time.Second

// greetOnce calls the plugin over whatever the session speaks.
func greetOnce(t *testing.T, session conn.Session, name string) string {
	t.Helper()
	if cc, ok := session.(interface {
		ClientConn() (*grpc.ClientConn, bool)
	}).ClientConn(); ok {
		reply, err := commonspb.NewGreeterClient(cc).Greet(t.Context(), &commonspb.GreetRequest{Name: &name})
		if err != nil {
			t.Fatal(err)
		}
		return reply.GetGreeting()
	}
	channel, err := session.(interface {
		OpenRPC(string) (plugin.RPCChannel, error)
	}).OpenRPC(commons.GreeterKind)
	if err != nil {
		t.Fatal(err)
	}
	client := plugin.NewChannelClient(channel)
	defer client.Close()
	var greeting string
	if err := client.Call("Plugin.Greet", map[string]any{"name": name}, &greeting); err != nil {
		t.Fatal(err)
	}
	return greeting
}

// pidOf asks the plugin for its process.
func pidOf(t *testing.T, session conn.Session) int {
	t.Helper()
	pid, err := strconv.Atoi(greetOnce(t, session, served.PID))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
