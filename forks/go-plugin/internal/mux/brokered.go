// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
)

// Dial opens the stream that the other side accepts under id, and waits for it to do so,
// until ctx ends. The caller closes the stream.
func (s *session) Dial(ctx context.Context, id uint32) (*Stream, error) {
	stream, err := s.OpenStream(ctx, Brokered, binary.AppendUvarint(nil, uint64(id)))
	if err != nil {
		return nil, err
	}
	if err := stream.AwaitAccept(ctx); err != nil {
		_ = stream.Close()
		return nil, err
	}
	return stream, nil
}

// TellAccepted tells a plugin that stands in for another process, and has asked for that,
// that this host accepts what is dialled under id. It does not wait.
func (h *Host) TellAccepted(id uint32) { _ = h.send(newMessage(kindAccepts, uint64(id))) }

// hostAccepts acts on that.
func (p *Plugin) hostAccepts(id uint64) error {
	if id > math.MaxUint32 {
		return fmt.Errorf("%w: %d is no broker id", errMalformed, id)
	}
	if p.config.Accepted != nil {
		p.config.Accepted(uint32(id))
	}
	return nil
}

// BrokerID returns the id of a brokered stream that the other side has opened.
func (s *Stream) BrokerID() (uint32, error) {
	id, n := binary.Uvarint(s.header)
	if n != len(s.header) || id > math.MaxUint32 {
		return 0, fmt.Errorf("the header of a brokered stream, of %d bytes, is no id", len(s.header))
	}
	return uint32(id), nil
}
