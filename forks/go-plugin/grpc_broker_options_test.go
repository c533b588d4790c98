// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"slices"
	"testing"

	"google.golang.org/grpc"
)

// TestServerOptionsAreNotShared serves two ids whose factories each add an option
// of their own to those that they are given.
func TestServerOptionsAreNotShared(t *testing.T) {
	broker := newGRPCPair(t, pairOptions{brokers: brokerTunnel}).client.broker
	broker.serverOptions = slices.Grow(broker.serverOptions, 1) // as append may leave it
	var kept [2][]grpc.ServerOption
	var own [2]grpc.ServerOption
	for i := range own {
		own[i] = grpc.MaxConcurrentStreams(1)
		broker.AcceptAndServe(broker.NextId(), func(options []grpc.ServerOption) *grpc.Server {
			kept[i] = append(options, own[i])
			server := grpc.NewServer(kept[i]...)
			server.Stop() // so that nothing is served
			return server
		})
	}
	for i, options := range kept {
		if len(options) == 0 || options[len(options)-1] != own[i] {
			t.Errorf("server %d was made with the other one's option", i)
		}
	}
}
