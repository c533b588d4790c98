// SPDX-License-Identifier: MPL-2.0

// Package gen tries the generator from outside: contracts as well-known plugin systems have
// them, generated, compiled and called over both protocols; others that are refused; and old
// peers with new ones.
package gen

import (
	_ "github.com/hashicorp/go-plugin/contract/contracttest" // of generated tests
	_ "github.com/reattach/reattach/host/cli"                // of generated hosts
)
