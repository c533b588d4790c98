// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// drainQuiet is how long a session must be without a call before it is closed.
// It is more than the way of the notice to the host and of the host's last
// call back.
const drainQuiet = 250 * time.Millisecond

// drain tells every host that the plugin is leaving, waits until the calls in
// flight have been answered, and closes the sessions. It gives up after
// DrainTimeout and says how many calls it cut off.
func (s *networkServer) drain() error {
	close(s.draining)
	hosts := s.hosts.Close()
	s.logger.Info("plugin drains", "sessions", len(hosts), "timeout", s.config.DrainTimeout)

	ctx, cancel := context.WithTimeout(context.Background(), s.config.DrainTimeout)
	defer cancel()
	var all wait.Group
	cut := make([]int, len(hosts))
	for i, host := range hosts {
		all.Go(func() { cut[i] = host.drain(ctx) })
	}
	all.Wait()

	lost := 0
	for _, n := range cut {
		lost += n
	}
	if lost > 0 {
		return fmt.Errorf("drain: %d calls did not finish within %v (%s) and were cut off",
			lost, s.config.DrainTimeout, env.DrainTimeout)
	}
	s.logger.Info("plugin drained")
	return nil
}
