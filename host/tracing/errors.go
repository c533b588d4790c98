// SPDX-License-Identifier: MPL-2.0

package tracing

import (
	"context"
	"errors"
	"net/rpc"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/stub"
	"github.com/reattach/reattach/tracing"
)

// sourceOfAttempt says whose failure it is that an endpoint did not take a call: a plugin
// may refuse one, and all else is the way to it.
func sourceOfAttempt(cause error) string {
	if errors.Is(cause, context.Canceled) {
		return string(stub.SourceCaller)
	}
	_, refused := errors.AsType[*plugin.RPCRefusedError](cause)
	_, answered := errors.AsType[rpc.ServerError](cause)
	_, lost := stub.Cause(cause)
	if (refused || answered) && !lost {
		return string(stub.SourcePlugin)
	}
	return string(stub.SourceNetwork)
}

// typeOf gives the attribute error.type: what sort of failure an error of a call is.
func typeOf(protocol, source string, err error) string {
	if f, ok := stub.Cause(err); ok {
		return reasonOf(f.Reason)
	}
	switch {
	case source == string(stub.SourceNetwork):
		return "lost"
	case protocol == "grpc":
		return tracing.CodeName(err)
	}
	return source
}

func reasonOf(r stub.Reason) string {
	switch r {
	case stub.ReasonLost:
		return "lost"
	case stub.ReasonTimeout:
		return "timeout"
	case stub.ReasonUnavailable:
		return "unavailable"
	case stub.ReasonArguments:
		return "arguments"
	case stub.ReasonAnswer:
		return "answer"
	case stub.ReasonCaller:
		return "caller"
	}
	return "other"
}
