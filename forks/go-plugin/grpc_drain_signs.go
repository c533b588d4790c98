// SPDX-License-Identifier: MPL-2.0

package plugin

import "google.golang.org/grpc/metadata"

// trailerLeaving is in the trailers of every answer that a plugin gives while
// it is about to leave. PROTOCOL.md, feature "grpc-on-demand".
const trailerLeaving = "reattach-leaving"

// drainSigns are what calls show of a plugin that is about to leave. Either may
// be nil; neither blocks, and both may be called again.
type drainSigns struct {
	leaving   func() // an answer says so
	streaming func() // a stream begins, whose answer may come too late for that
}

// heed looks at the trailers of an answer.
func (d *drainSigns) heed(trailer metadata.MD) {
	if d.leaving != nil && trailer[trailerLeaving] != nil {
		d.leaving()
	}
}

// begins learns of a stream of that method.
func (d *drainSigns) begins(method string) {
	if d.streaming != nil && !isOwnMethod(method) {
		d.streaming()
	}
}
