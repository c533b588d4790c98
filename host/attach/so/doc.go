// SPDX-License-Identifier: MPL-2.0

// Package so loads plugins that are Go shared objects into this process.
//
// Such a file is a package main that is built with -buildmode=plugin and has
// the function
//
//	func ReattachPlugins() *plugin.ServeConfig
//
// which returns what the main function of an executable would give to
// plugin.Serve. One source can therefore be either. The plugin is served inside
// of this process, over a connection that never leaves it, so that a host sees
// what it sees of every other plugin.
//
// Go's conditions are strict: host and shared object must be built by the same
// Go, with the same flags, from the same versions of every module that both
// use; and what was loaded stays loaded. Everything that can be known from the
// file is checked before it is loaded, and every mismatch is named.
//
// The package needs cgo. Without it (CGO_ENABLED=0) it compiles, and every dial
// says that shared objects are off: see [Supported].
package so

// Symbol is the function that a shared object must have.
const Symbol = "ReattachPlugins"
