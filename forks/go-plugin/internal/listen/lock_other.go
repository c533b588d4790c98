// SPDX-License-Identifier: MPL-2.0

//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package listen

// lockDir does nothing.
func lockDir(string) (unlock func()) { return func() {} }
