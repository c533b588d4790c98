// SPDX-License-Identifier: MPL-2.0

// Package kit starts the peers and other programs for tests, here and in module
// test/adoption.
package kit
