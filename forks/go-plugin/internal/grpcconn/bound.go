// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// ServerBound bounds the messages of a server to n bytes, negative for no bound. Zero
// leaves it with gRPC's own bound of 4 MiB for requests, which children have always had.
func ServerBound(n int) []grpc.ServerOption {
	if n == 0 {
		return nil
	}
	return []grpc.ServerOption{grpc.MaxRecvMsgSize(bound(n)), grpc.MaxSendMsgSize(bound(n))}
}

// maxStatusText bounds the text of an error over gRPC, in bytes, whatever a message may
// have. It travels in a header, in which any other byte than a letter becomes three,
// and peers of gRPC for Go end the connection where headers have more than 16 MiB.
const maxStatusText = 4 << 20

// BoundStatus cuts the text of a method's error that is too long to be sent, and drops
// its details if they are. maxMessage may be zero or negative for no bound.
func BoundStatus(err error, maxMessage int) error {
	if err == nil {
		return nil
	}
	most := maxStatusText
	if maxMessage > 0 {
		most = min(most, maxMessage)
	}
	s := status.Convert(err)
	if len(s.Message()) > most {
		return status.Error(s.Code(), mux.ClipError(s.Message(), most))
	}
	if p := s.Proto(); len(p.GetDetails()) > 0 && proto.Size(p) > most {
		return status.Error(s.Code(), s.Message())
	}
	return err
}
