// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"io"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// subscribeStreams gives a net/rpc session the plugin's output as two streams.
func (s *networkServer) subscribeStreams() (stdout, stderr io.Reader, stop func()) {
	out, errs := s.output.Split()
	return out, errs, func() {
		_ = out.Close()
		_ = errs.Close()
	}
}

// hubOutput gives a gRPC session the plugin's output as one sequence.
type hubOutput struct{ hub *stdio.Hub }

func (h hubOutput) subscribe() stdioSubscription { return hubSubscription{h.hub.Subscribe()} }

type hubSubscription struct{ sub *stdio.Subscription }

func (s hubSubscription) next(ctx context.Context) (isStderr bool, data []byte, err error) {
	chunk, err := s.sub.Next(ctx)
	return chunk.Channel == stdio.Stderr, chunk.Data, err
}

func (s hubSubscription) close() { s.sub.Close() }
