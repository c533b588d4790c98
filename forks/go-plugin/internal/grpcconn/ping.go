// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/peererr"
)

// Ping asks the plugin for an answer: by mux, or the health service. A plugin that says it is about to leave
// has answered, and so has a gRPC server that knows no such name, or has no health
// service at all.
func (s *Session) Ping(ctx context.Context) error {
	if s.Mux != nil {
		return s.Mux.Ping(ctx)
	}
	var trailer metadata.MD
	request := &grpc_health_v1.HealthCheckRequest{Service: HealthName}
	_, err := grpc_health_v1.NewHealthClient(s.Conn).Check(ctx, request, grpc.Trailer(&trailer))
	switch status.Code(err) {
	case codes.Unimplemented, codes.NotFound:
		// A web server's 404 is Unimplemented as well, but not of this content type.
		for _, kind := range trailer.Get("content-type") {
			if strings.HasPrefix(kind, "application/grpc") {
				return nil
			}
		}
	}
	return peererr.Clean(err)
}
