// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// noteUnsent takes back what gRPC tells of the peer of a unary call whose request it could not
// send: it opens the stream before it encodes the request, and names the peer of any stream. So
// a call without a peer was surely not run, as with mux. err is that of a call without an answer.
func noteUnsent(err error, opts []grpc.CallOption) {
	st, _ := status.FromError(err)
	if !isRequestText(st.Message()) {
		return
	}
	for _, option := range opts {
		if asks, ok := option.(grpc.PeerCallOption); ok {
			*asks.PeerAddr = peer.Peer{}
		}
	}
}

// isRequestText reports whether a message is one that grpc-go has for a request that cannot be
// encoded, or has too many bytes.
func isRequestText(text string) bool {
	for _, start := range [...]string{
		"grpc: error while marshaling",
		"grpc: error while compressing",
		"grpc: message too large",
		"trying to send message larger than max",
	} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return false
}
