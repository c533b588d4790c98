// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"os"
	"time"
)

// hostPollInterval is how often Run looks whether the host is there.
const hostPollInterval = time.Second

// untilHostEnds gives a context that ends, with ErrHostEnded, once this process has another parent
// than host: nobody else would end it then. Windows never says so. Over ends the watch.
func untilHostEnds(ctx context.Context, host int) (watched context.Context, over func()) {
	watched, end := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(hostPollInterval)
		defer tick.Stop()
		for os.Getppid() == host {
			select {
			case <-tick.C:
			case <-watched.Done():
				return
			}
		}
		end(ErrHostEnded)
	}()
	return watched, func() {
		end(nil)
		<-done
	}
}
