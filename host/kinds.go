// SPDX-License-Identifier: MPL-2.0

package main

import (
	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// kinds are the interfaces of package commons, as a daemon knows them. All of their
// methods may be repeated: a greeting changes nothing.
func kinds() []daemon.Kind {
	again := stub.CallOptions{Idempotent: true}
	return []daemon.Kind{
		daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{},
			daemon.WithMethod("Greet", again), daemon.WithParams("Greet", "name"),
			daemon.WithMethod("Hi", again), daemon.WithParams("Hi", "times"),
			daemon.WithWire(netRPC, "Greet", named, text), daemon.WithWire(gRPC, "Greet", proto+"GreetRequest", proto+"GreetResponse"),
			daemon.WithWire(netRPC, "Hi", named, text), daemon.WithWire(gRPC, "Hi", proto+"HiRequest", proto+"HiResponse"),
			daemon.WithSwitch(commons.SwitchGreeter)),
		daemon.NewKind[commons.PingPonger](commons.PingPongerKind, &commons.PingPongerPlugin{},
			daemon.WithMethod("Ping", again),
			daemon.WithWire(netRPC, "Ping", named, text), daemon.WithWire(gRPC, "Ping", proto+"PingRequest", proto+"PingResponse"),
			daemon.WithSwitch(commons.SwitchPingPonger)),
	}
}

// How the methods of package commons travel.
const (
	netRPC = "netrpc"
	gRPC   = "grpc"
	named  = "map[string]interface {}"
	text   = "string"
	proto  = "reattach.commons.v1."
)
