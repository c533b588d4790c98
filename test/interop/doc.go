// SPDX-License-Identifier: MPL-2.0

// Package interop runs hosts and plugins that are built with upstream
// go-plugin against hosts and plugins that are built with the fork, as real
// processes. The peers in peer/ are compiled twice from the same source: with
// go.mod, which requires upstream like any other dependency, and with fork.mod,
// which replaces it. What upstream's host sees of upstream's plugin defines what
// every other pair must see.
package interop
