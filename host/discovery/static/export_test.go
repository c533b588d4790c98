// SPDX-License-Identifier: MPL-2.0

package static

import "github.com/reattach/reattach/host/target"

// Fixed gives the group of the addresses that are not resolved.
func (s *Source) Fixed() target.Group { return s.fixed }
