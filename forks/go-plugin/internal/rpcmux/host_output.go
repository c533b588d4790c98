// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"fmt"
	"io"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// takeOutput gives the message at hand to receiveOutput, which waits for it:
// the plugin sends one for each credit.
func (h *Host) takeOutput() error {
	if h.in.left > maxOutput {
		return fmt.Errorf("%w: output of %d bytes", errMalformed, h.in.left)
	}
	chunk := stdio.Chunk{Channel: stdio.Channel(h.message.channel), Data: make([]byte, h.in.left)}
	if _, err := io.ReadFull(&h.in, chunk.Data); err != nil {
		return err
	}
	select {
	case h.outputs <- chunk:
		return nil
	default:
		return fmt.Errorf("%w: output that nobody asked for", errMalformed)
	}
}

// ReceiveOutput asks for what the plugin writes to its stdout and stderr, and
// returns what passes it on, until the session ends, in a goroutine of the
// caller's. to may block: the plugin then keeps the rest. Nothing is lost of what
// calls print that are made after ReceiveOutput has returned.
func (h *Host) ReceiveOutput(to func(stdio.Chunk)) (passOn func()) {
	err := h.send(newMessage(credit))
	return func() {
		for ; err == nil; err = h.send(newMessage(credit)) {
			select {
			case chunk := <-h.outputs:
				to(chunk)
			case <-h.done:
				select {
				case chunk := <-h.outputs: // It had come before.
					to(chunk)
				default:
				}
				return
			}
		}
	}
}
