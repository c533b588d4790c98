// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"strings"

	"google.golang.org/grpc/metadata"
)

// TrailerLeaving is in the trailers of every answer that a plugin gives while
// it is about to leave. PROTOCOL.md, feature "grpc-on-demand".
const TrailerLeaving = "reattach-leaving"

// DrainSigns are what calls show of a plugin that is about to leave. Either may
// be nil; neither blocks, and both may be called again.
type DrainSigns struct {
	Leaving   func() // an answer says so
	Streaming func() // a stream begins, whose answer may come too late for that
}

// observe looks at the trailers of an answer.
func (d *DrainSigns) observe(trailer metadata.MD) {
	if d.Leaving != nil && trailer[TrailerLeaving] != nil {
		d.Leaving()
	}
}

// begins learns of a stream of that method.
func (d *DrainSigns) begins(method string) {
	if d.Streaming != nil && !IsSessionMethod(method) {
		d.Streaming()
	}
}

// IsSessionMethod reports whether a full method name belongs to one of the session's
// own services, whose calls are not the plugin's.
func IsSessionMethod(method string) bool {
	service := strings.TrimPrefix(method[:max(0, strings.LastIndexByte(method, '/'))], "/")
	switch service {
	case "plugin.GRPCBroker", "plugin.GRPCController", "plugin.GRPCStdio", "reattach.v1.Tunnel",
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection":
		return true
	}
	return false
}
