// SPDX-License-Identifier: MPL-2.0

// Command host-raised is the demo's host after its ProtocolVersion was raised. It
// was raised to 3 here, since new plugins know of a version 2.
package main

import "github.com/reattach/reattach/test/compat/old"

func main() { old.Host(3, old.Greeting) }
