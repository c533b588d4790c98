// SPDX-License-Identifier: MPL-2.0

// Package daemon is the public face of the host: a library with which a program
// uses plugins wherever they run, through values that are dispensed once and stay
// valid while endpoints come and go.
//
// A program names its kinds with [NewKind], makes a daemon with [New], runs it
// with [Daemon.Run] and gets its stubs from [Dispense]. The package reads no
// environment and has no global state: the logger and the metrics' registerer are
// given to it.
package daemon
