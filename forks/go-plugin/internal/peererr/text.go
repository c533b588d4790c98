// SPDX-License-Identifier: MPL-2.0

package peererr

import (
	"net/rpc"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/printable"
)

// Clean makes the text of an error fit to be shown, and bounds it, that the
// other side gave to a question of this library: a ping, a dispense, its health.
// Errors of a plugin's own methods belong to their callers, and pass as they are.
func Clean(err error) error {
	if said, ok := err.(rpc.ServerError); ok {
		return rpc.ServerError(Text(string(said)))
	}
	if s, ok := status.FromError(err); ok && s.Code() != codes.OK {
		if text := Text(s.Message()); text != s.Message() {
			return status.Error(s.Code(), text)
		}
	}
	return err
}

// Brief makes an error fit to be shown, and bounds it, that quotes what the other
// side said.
func Brief(err error) error {
	text := err.Error()
	if shown := printable.Text(printable.Clip(text, printable.MaxText)); shown != text {
		return &markedError{mark: err, text: printable.Clip(shown, printable.MaxText)}
	}
	return err
}

// Text makes a text of the other side one visible line of at most printable.MaxText bytes, and
// a note where it was cut.
func Text(s string) string {
	return printable.Clip(printable.Line(printable.Clip(s, printable.MaxText)), printable.MaxText)
}
