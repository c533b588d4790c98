// SPDX-License-Identifier: MPL-2.0

// Package adoption holds the tests of what lets plugins and hosts take part that
// nobody rebuilds: binaries of the original go-plugin, of its newest release and of an
// old one, behind the program's shims. The peers are those of module test/interop.
package adoption
