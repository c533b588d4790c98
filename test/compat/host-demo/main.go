// SPDX-License-Identifier: MPL-2.0

// Command host-demo is the host at the end of the demo.
package main

import "github.com/reattach/reattach/test/compat/old"

func main() { old.Host(1, old.Greeting) }
