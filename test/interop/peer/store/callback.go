// SPDX-License-Identifier: MPL-2.0

//go:build !fork

package store

import (
	"net/rpc"

	"github.com/hashicorp/go-plugin"
)

// dialClient dials what the other side serves over net/rpc.
func dialClient(broker *plugin.MuxBroker, id uint32) (*rpc.Client, error) {
	conn, err := broker.Dial(id)
	if err != nil {
		return nil, err
	}
	return rpc.NewClient(conn), nil
}

// callBack makes a call of such a client.
func callBack(client *rpc.Client, method string, args, reply any) error {
	return client.Call(method, args, reply)
}
