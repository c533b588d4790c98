// SPDX-License-Identifier: MPL-2.0

// Package script tests what basic says to those who type its commands, by scripts of
// testdata as a shell would run them. It is a module of its own for what runs them.
package script
