// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"net/rpc"

	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/printable"
)

// peerError bounds the text of an error that the other side gave to a question of
// this library: a ping, a dispense, its health. Errors of a plugin's own methods
// belong to their callers, and pass as they are.
func peerError(err error) error {
	switch said := err.(type) {
	case nil:
		return nil
	case rpc.ServerError:
		return rpc.ServerError(printable.Clip(string(said), printable.MaxText))
	case interface{ GRPCStatus() *status.Status }:
		if s := said.GRPCStatus(); len(s.Message()) > printable.MaxText {
			return status.Error(s.Code(), printable.Clip(s.Message(), printable.MaxText))
		}
	}
	return err
}
