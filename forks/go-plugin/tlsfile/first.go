// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"fmt"
	"time"
)

const (
	// startTime is for how long files that cannot be used are read again at the
	// start, where there is no last good state yet.
	startTime = 5 * time.Second
	// startPause lies between two readings.
	startPause = 100 * time.Millisecond
)

// first reads the files for the first time. A certificate and a key that do not
// belong together may be caught while somebody replaces them, one after the other:
// they are read again while any of them has just been written, for startTime at
// most. What has lain there for longer is wrong, and told at once.
func (s *store) first(pause func(time.Duration)) (m *material, seen identity, err error) {
	for waited := time.Duration(0); ; waited += startPause {
		m, seen, err = s.read()
		switch {
		case err == nil, seen.settled(time.Now()):
			return m, seen, err
		case waited >= startTime:
			return nil, seen, fmt.Errorf("%w (read again for %s, as the files were being written)", err, startTime)
		case waited == 0:
			s.logger.Info("TLS files cannot be used yet and have just been written; reading them again", "error", err, "for_at_most", startTime)
		}
		pause(startPause)
	}
}
