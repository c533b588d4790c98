// SPDX-License-Identifier: MPL-2.0

//go:build fork

package store

import (
	"context"
	"net/rpc"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/metadata"
)

// dialClient dials what the other side serves over net/rpc. The calls of the client carry
// their contexts, of which the original library must not take notice.
func dialClient(broker *plugin.MuxBroker, id uint32) (*rpc.Client, error) {
	return broker.DialClient(id)
}

// callBack makes a call of such a client, which carries all that there is to carry.
func callBack(client *rpc.Client, method string, args, reply any) error {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	return plugin.CallContext(ctx, client, method, args, reply)
}
