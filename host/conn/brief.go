// SPDX-License-Identifier: MPL-2.0

package conn

import "github.com/hashicorp/go-plugin/printable"

// briefError is an error whose text a status can hold and a log can show: a peer
// may have made it as long as it liked.
type briefError struct {
	text string
	err  error
}

// Error implements error.
func (e *briefError) Error() string { return e.text }

// Unwrap gives the error as it was.
func (e *briefError) Unwrap() error { return e.err }

// brief bounds the text of err to printable.MaxText and a note that it was cut.
func brief(err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); len(text) > printable.MaxText+len("… (cut)") {
		return &briefError{printable.Clip(text, printable.MaxText), err}
	}
	return err
}
