// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/hashicorp/go-plugin"
)

// What does not go by mux goes by HTTP/2 inside of the session, callbacks included.
func TestCallsThatNeedHTTP2(t *testing.T) {
	for name, change := range map[string]func(*plugin.ClientConfig){
		"a call with much metadata":    nil,
		"a host with its dial options": func(cfg *plugin.ClientConfig) { cfg.GRPCDialOptions = []grpc.DialOption{grpc.WithUserAgent("own")} },
	} {
		t.Run(name, func(t *testing.T) {
			_, session, stub, _ := attachedRelay(t, change)
			ctx := metadata.AppendToOutgoingContext(t.Context(), "long", strings.Repeat("x", 100<<10))
			for range 2 {
				if got, err := stub.call(ctx, "Name", ""); got != "plugin" || err != nil {
					t.Errorf("call = %q, %v", got, err)
				}
			}
			if text, err := stub.callback(t.Context(), "Via", "the host"); text != "the host" || err != nil {
				t.Errorf("callback = %q, %v", text, err)
			}
			if err := session.Ping(); err != nil {
				t.Error(err)
			}
		})
	}
}
