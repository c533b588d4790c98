// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"time"
)

// byeTime is how long the end of a session waits for the connection to take the reason.
const byeTime = 100 * time.Millisecond

// sayBye tells the peer why this side ends the session, if the connection takes that.
func (o *outbox) sayBye(reason string) {
	b := newMessage(kindBye)
	b.text(reason[:min(len(reason), maxReason)])
	b.finish(0)
	end, err := o.put(b, now)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), byeTime)
	defer cancel()
	_ = o.awaitThat(ctx, nil, func() bool { return o.written >= end })
}
