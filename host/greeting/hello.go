// SPDX-License-Identifier: MPL-2.0

package greeting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/go-plugin/printable"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// maxColumns is how much of an answer is written, in columns of a terminal.
const maxColumns = 240

// Hello gives a hook for daemon.Options.OnReady that greets name through each
// plugin that became ready, and writes a line for each answer to w.
func Hello(name string, w io.Writer) func(context.Context, *daemon.Daemon, string) {
	return func(ctx context.Context, d *daemon.Daemon, plugin string) {
		for _, q := range []struct {
			kind, method string
			args         []any
		}{
			{commons.GreeterKind, "Greet", []any{name}},
			{commons.PingPongerKind, "Ping", nil},
		} {
			answer, err := ask(ctx, d, plugin, q.kind, q.method, q.args)
			switch {
			case errors.Is(err, daemon.ErrNotServed), ctx.Err() != nil:
				continue
			case err != nil:
				answer = "error: " + err.Error()
			}
			// If nobody listens, nobody is left to be told so.
			_, _ = fmt.Fprintf(w, "%s  %s.%s: %s\n", plugin, q.kind, q.method, printable.Cell(answer, maxColumns))
		}
	}
}

func ask(ctx context.Context, d *daemon.Daemon, plugin, kind, method string, args []any) (string, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return "", err
	}
	result, err := d.Call(ctx, plugin, kind, method, raw)
	if err != nil {
		return "", err
	}
	var answer string
	return answer, json.Unmarshal(result, &answer)
}

// Kinds are the interfaces of package commons, as a daemon knows them. All of their
// methods may be repeated: a greeting changes nothing.
func Kinds() []daemon.Kind {
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
